"""One study with what a reader stored about it becomes a record and files that belong together."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.sr.coding import Code

from model.training.datasets.pixels import load_picture, load_planar_mask, load_volume, load_volume_masks
from tests.builders import make_bench
from tests.fakes import FakeFamily
from tests.reader_documents import corrected, drawn_segmentation, read_all, written_report
from worker.archive_export.facts import SENTENCES
from worker.archive_export.pseudonyms import Pseudonyms
from worker.archive_export.report_text import safe_words
from worker.archive_export.sources import ReadStudy
from worker.archive_export.study_export import OWN, StudyExporter, StudyResult
from worker.demo.phantom_studies import WrittenStudy

HEART = Code("80891009", "SCT", "Heart")
LIVER = Code("10200004", "SCT", "Liver")
FINDINGS = "The heart is enlarged. There is a left pleural effusion. Told to Granny Weatherwax."
IMPRESSION = "Cardiomegaly with effusion, seen on 16.03.2026 in Phantom, Thora."


def export(out: Path, datasets: Sequence[Dataset]) -> StudyResult:
    exporter = StudyExporter(out, Pseudonyms(b"k" * 32), safe_words())
    return exporter.export(str(datasets[0].StudyInstanceUID), ReadStudy(datasets))


@pytest.fixture
def chest(phantoms: dict[str, WrittenStudy]) -> Dataset:
    return dcmread(phantoms["chest, current"].files[0])


def written(out: Path) -> dict[str, Dataset]:
    """All files of an export by modality; one of each in these tests."""
    return {ds.Modality: ds for ds in map(dcmread, sorted(out.rglob("*.dcm")))}


def test_a_report_becomes_text_without_identity(tmp_path: Path, chest: Dataset) -> None:
    result = export(tmp_path, [chest, written_report(chest, FINDINGS, IMPRESSION)])

    assert result.record is not None
    assert result.record.findings == "The heart is enlarged. There is a left pleural effusion."
    assert result.record.impression == "Cardiomegaly with effusion, seen on ___ in ___."
    assert result.left_out[SENTENCES] == 1
    assert (result.record.age, result.record.sex) == (64.0, "F")


def test_nothing_of_patient_or_physician_is_in_any_file(tmp_path: Path, chest: Dataset) -> None:
    result = export(tmp_path, [chest, written_report(chest, FINDINGS, IMPRESSION)])

    assert result.record is not None
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*.dcm"))
    everything += result.record.to_json().encode() + str(sorted(tmp_path.rglob("*"))).encode()
    for identity in ("Thora", "PHANTOM", "19610418", "20260316", "Featherstone", "Nonesuch", "Weatherwax"):
        assert identity.encode() not in everything
    for uid in (chest.StudyInstanceUID, chest.SeriesInstanceUID, chest.SOPInstanceUID):
        assert uid.encode() not in everything


def test_a_drawn_segmentation_becomes_a_mask_that_fits(tmp_path: Path, chest: Dataset) -> None:
    mask = np.zeros((1, chest.Rows, chest.Columns), bool)
    mask[0, 400:700, 450:800] = True

    result = export(tmp_path, [chest, drawn_segmentation([chest], mask, HEART)])

    record = result.record
    assert record is not None
    (found,) = record.masks
    assert found.label == "heart"
    picture = load_picture(tmp_path, record.images[0])
    np.testing.assert_array_equal(load_planar_mask(tmp_path, found, picture), mask[0])


def test_references_between_objects_survive(tmp_path: Path, chest: Dataset) -> None:
    mask = np.ones((1, chest.Rows, chest.Columns), bool)

    export(tmp_path, [chest, drawn_segmentation([chest], mask, HEART)])

    found = written(tmp_path)
    image, seg = found["DX"], found["SEG"]
    (reference,) = seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    group = seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == group.ReferencedSOPInstanceUID == image.SOPInstanceUID
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == image.SeriesInstanceUID
    assert seg.StudyInstanceUID == image.StudyInstanceUID
    assert seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Heart"
    assert "Una" not in str(seg)


def test_laterality_geometry_and_pixels_are_untouched(tmp_path: Path, chest: Dataset) -> None:
    chest.PatientOrientation = ["L", "F"]

    export(tmp_path, [chest])

    found = written(tmp_path)["DX"]
    for keyword in (
        *("PatientOrientation", "ImageLaterality", "ViewPosition", "Rows", "Columns", "PixelSpacing"),
        *("ImagerPixelSpacing", "RescaleSlope", "WindowCenter", "PhotometricInterpretation", "PixelData"),
    ):
        assert found[keyword].value == chest[keyword].value, keyword


def test_a_corrected_result_teaches_and_our_own_does_not(
    tmp_path: Path, phantoms: dict[str, WrittenStudy]
) -> None:
    files = phantoms["chest, current"].files
    bench = make_bench(tmp_path / "bench", FakeFamily)
    job_id = bench.file(files)
    bench.pipeline.take(job_id)
    results = [dcmread(result.path) for result in bench.database.results.of_job(job_id)]
    bench.database.close()
    report = next(ds for ds in results if ds.Modality == "SR")

    ours = export(tmp_path / "ours", [*read_all(files), *results])
    corrected_by_reader = export(tmp_path / "theirs", [*read_all(files), *results, corrected(report)])

    assert ours.record is not None
    assert (dict(ours.record.labels), ours.record.boxes, ours.record.masks) == ({}, (), ())
    assert ours.left_out[OWN] == len(results)
    assert corrected_by_reader.record is not None
    assert corrected_by_reader.record.labels == {"enlarged cardiac silhouette": True}
    boxes = {box.label: box.anatomy for box in corrected_by_reader.record.boxes}
    assert boxes == {
        "enlarged cardiac silhouette": False,
        "left lung": True,
        "right lung": True,
        "heart": True,
    }


def test_masks_of_a_volume_lie_on_its_voxels(tmp_path: Path, phantoms: dict[str, WrittenStudy]) -> None:
    slices = read_all(phantoms["abdomen CT"].files)
    mask = np.zeros((len(slices), slices[0].Rows, slices[0].Columns), bool)
    mask[3, 60:90, 100:160] = True
    marked = slices[3].ImagePositionPatient[2]

    result = export(tmp_path, [*slices, drawn_segmentation(slices, mask, LIVER)])

    record = result.record
    assert record is not None
    volume = load_volume(tmp_path, record.images[0])
    (found,) = load_volume_masks(tmp_path, record.masks, volume)
    assert record.masks[0].label == "liver"
    (k,) = np.unique(np.nonzero(found)[0])
    assert volume.geometry.to_patient(np.array([k, 0.0, 0.0]))[2] == pytest.approx(float(marked), abs=0.01)
    assert found.sum() == mask.sum()


def test_intervals_between_studies_of_a_patient_survive(
    tmp_path: Path, phantoms: dict[str, WrittenStudy]
) -> None:
    files = {title: phantoms[title].files for title in ("chest, prior", "chest, current")}
    sources = {title: read_all(files[title]) for title in files}
    results = {title: export(tmp_path, datasets) for title, datasets in sources.items()}

    def day(text: str) -> date:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))

    def interval(days: dict[str, str]) -> int:
        return (day(days["chest, current"]) - day(days["chest, prior"])).days

    shifted = {title: result.study_date for title, result in results.items()}
    stated = {title: str(datasets[0].StudyDate) for title, datasets in sources.items()}
    assert interval(shifted) == interval(stated)
    assert set(shifted.values()).isdisjoint(stated.values())
    assert len({result.record.subject for result in results.values() if result.record}) == 1


@pytest.mark.parametrize(
    ("keyword", "value", "reason"),
    [
        ("BurnedInAnnotation", "YES", "burned-in"),
        ("RecognizableVisualFeatures", "YES", "visual features"),
        ("PatientSpeciesDescription", "CANINE", "not a human"),
    ],
)
def test_an_image_at_risk_is_left_out_with_its_reason(
    tmp_path: Path, chest: Dataset, keyword: str, value: str, reason: str
) -> None:
    setattr(chest, keyword, value)

    result = export(tmp_path, [chest])

    assert result.record is None
    assert any(reason in why for why in result.left_out)
    assert not list(tmp_path.rglob("*.dcm"))

"""What objects of any maker say, as values and as lines."""

import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from structured_reports.profiles import Profile
from structured_reports.readout.lines import text_lines
from structured_reports.readout.values import encapsulated_document, values_of
from structured_reports.registry import write_results
from tests.unit.structured_reports.readings import (
    RUN,
    chest_reading,
    ct_reading,
    ct_slices,
    grown_nodule,
    header,
    only,
    prior_of,
    sources,
)


@pytest.fixture(scope="module")
def full() -> dict[str, Dataset]:
    ds = header()
    written = write_results(
        chest_reading(ds, [grown_nodule()]), sources(ds, priors=[prior_of(ds)]), RUN, Profile.FULL
    )
    return {str(each.SOPClassUID.name): each for each in written}


def lines_of(ds: Dataset) -> list[str]:
    return [line.strip() for line in text_lines(values_of(ds))]


def test_a_report_is_told_with_names_codes_numbers_and_places(full: dict[str, Dataset]):
    said = lines_of(full["Comprehensive 3D SR Storage"])
    assert "verification: UNVERIFIED" in said
    assert "Finding: Nodule of lung (786838002, SCT)" in said
    assert "Laterality: Right (24028007, SCT)" in said
    assert "Certainty of Finding: 93.4 %" in said
    assert any(line.startswith("Image Region: POLYLINE (9.6, 19.2) ") for line in said)


def test_the_depth_of_a_line_is_the_depth_of_its_item(full: dict[str, Dataset]):
    lines = list(text_lines(values_of(full["Enhanced SR Storage"])))
    depth = {line.strip(): len(line) - len(line.lstrip()) for line in lines if line}
    assert depth["Diagnostic Imaging Report"] == 0
    assert depth["Impressions"] == 2
    assert depth["Impression: Nodule; effusion."] == 4


def test_every_line_of_a_text_is_printed(full: dict[str, Dataset]):
    said = lines_of(full["Enhanced SR Storage"])
    assert said[said.index("Finding: A nodule in the right lung.") + 1] == "Small left effusion."


def test_key_objects_name_their_images(full: dict[str, Dataset]):
    said = lines_of(full["Key Object Selection Document Storage"])
    assert "Of Interest" in said
    assert "image: Digital X-Ray Image Storage - For Presentation 1.2.3.4.1.1" in said


def test_a_presentation_state_tells_its_layers_texts_and_graphics(full: dict[str, Dataset]):
    told = values_of(full["Grayscale Softcopy Presentation State Storage"])
    assert told["layers"] == ["AI_ANATOMY", "AI_FINDINGS"]
    first = told["annotations"][0]
    assert first["layer"] == "AI_FINDINGS"
    assert first["texts"] == ["AI: right lung nodule 93 %"]
    assert first["graphics"][0]["type"] == "POLYLINE"
    assert first["images"] == [
        {"class": "Digital X-Ray Image Storage - For Presentation", "instance": "1.2.3.4.1.1"}
    ]


def test_segments_are_told_with_what_they_mark(ct_results: tuple[Dataset, ...]):
    slices = ct_slices()
    masks = {mask.label: mask.voxels for mask in ct_reading(slices).masks}
    told = values_of(only(ct_results, "SEG"))
    assert [segment["label"] for segment in told["segments"]] == ["liver", "spleen", "kidneys"]
    for segment in told["segments"]:
        voxels = masks[segment["label"]]
        assert segment["pixels"] == int(voxels.sum())
        assert segment["frames"] == int(voxels.any(axis=(1, 2)).sum())
    assert told["segments"][2]["laterality"]["value"] == "51440002"


def test_a_label_map_is_counted_by_its_pixel_values(ct_results: tuple[Dataset, ...]):
    ds = deepcopy(only(ct_results, "SEG"))
    ds.SegmentationType = "LABELMAP"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    pixels = np.zeros((int(ds.NumberOfFrames), int(ds.Rows), int(ds.Columns)), dtype=np.uint8)
    pixels[0, :2, :3], pixels[1, 0, 0] = 2, 1
    ds.PixelData = pixels.tobytes()
    for own in ds.PerFrameFunctionalGroupsSequence:
        own.pop("SegmentIdentificationSequence", None)
    told = {segment["number"]: segment for segment in values_of(ds)["segments"]}
    assert (told[2]["pixels"], told[2]["frames"]) == (6, 1)
    assert (told[1]["pixels"], told[1]["frames"]) == (1, 1)
    assert (told[3]["pixels"], told[3]["frames"]) == (0, 0)


def test_pixels_that_cannot_be_decoded_are_said_to_be_so(ct_results: tuple[Dataset, ...]):
    ds = deepcopy(only(ct_results, "SEG"))
    del ds.PixelData
    assert any("pixels cannot be decoded" in line for line in text_lines(values_of(ds)))


def test_a_document_is_told_and_taken_out_without_padding():
    ds = Dataset()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    ds.DocumentTitle, ds.MIMETypeOfEncapsulatedDocument = "Report", "application/pdf"
    ds.EncapsulatedDocument, ds.EncapsulatedDocumentLength = b"%PDF-1.7 odd\x00", 12
    told = values_of(ds)
    assert (told["title"], told["mime_type"], told["bytes"]) == ("Report", "application/pdf", 12)
    assert encapsulated_document(ds) == b"%PDF-1.7 odd"


def test_identity_of_the_patient_is_not_among_what_is_told(full: dict[str, Dataset]):
    for ds in full.values():
        said = json.dumps(values_of(ds))
        assert "Doe" not in said
        assert "19700101" not in said


@pytest.mark.parametrize("name", ["test-SR.dcm", "reportsi.dcm"])
def test_reports_of_other_makers_are_told_whole(name: str):
    ds = dcmread(str(get_testdata_file(name)))
    said = "\n".join(text_lines(values_of(ds)))
    for element in ds.iterall():
        if element.keyword == "TextValue":
            assert str(element.value).splitlines()[0].strip() in said


@pytest.mark.parametrize("name", ["dcmqi_sr.dcm", "hd_sr_document.dcm", "dcmqi_partial_overlaps.dcm"])
def test_peers_objects_are_told(real_data: Path, name: str):
    path = real_data / "objects" / name
    if not path.exists():
        pytest.skip("the public set lacks this file")
    ds = dcmread(path)
    told = values_of(ds)
    assert json.loads(json.dumps(told)) == told
    labels = [str(segment.SegmentLabel) for segment in ds.get("SegmentSequence", ())]
    assert [segment["label"] for segment in told.get("segments", ())] == labels

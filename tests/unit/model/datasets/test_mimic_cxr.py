"""MIMIC-CXR in its published layout: studies, reports, labels, official split, and what is missing."""

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from model.errors import DatasetError
from model.reading import Modality
from model.training.datasets.dataset_reader import Missing
from model.training.datasets.mimic_cxr import MIMIC_CXR_READER
from model.training.datasets.record import Record, RecordImage
from tests.unit.model.datasets.drawn_mimic import (
    COLUMNS,
    CXR,
    FRONTAL,
    JPG,
    LATER,
    LATERAL,
    REPORTS,
    ROWS,
    TESTED,
    draw_mimic,
    draw_reports,
    image_file,
)
from tests.unit.model.datasets.refused import refusals


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return draw_mimic(tmp_path)


def records(source: Path) -> Mapping[str, Record]:
    return {record.study: record for record in MIMIC_CXR_READER.records(source)}


def test_a_study_becomes_one_record_with_the_frontal_image_first(source: Path) -> None:
    assert records(source)["s50000001"] == Record(
        dataset="mimic-cxr",
        record_id="s50000001",
        subject="p10000001",
        study="s50000001",
        split="train",
        modality=Modality.CXR,
        images=(
            RecordImage(f"{JPG}/{image_file(FRONTAL)}", "PA", (COLUMNS, ROWS)),
            RecordImage(f"{JPG}/{image_file(LATERAL)}", "LATERAL", (COLUMNS, ROWS)),
        ),
        indication="Cough.",
        comparison="None.",
        findings="The lungs are clear. There is no pleural effusion.",
        impression="No acute process.",
        labels={"no finding": True},
    )


def test_images_lie_where_records_say(source: Path) -> None:
    paths = [image.path for record in records(source).values() for image in record.images]
    assert len(paths) == 4
    assert all((source / path).is_file() for path in paths)


def test_the_official_split_is_kept(source: Path) -> None:
    splits = {study: record.split for study, record in records(source).items()}
    assert splits == {"s50000001": "train", "s50000002": "validate", "s50000003": "test"}


def test_uncertain_and_absent_labels_are_told_apart(source: Path) -> None:
    labels = records(source)["s50000002"].labels
    assert labels == {"pleural effusion": True, "pneumonia": None, "pulmonary edema/hazy opacity": False}


def test_labellers_that_contradict_each_other_leave_it_uncertain(source: Path) -> None:
    assert records(source)["s50000003"].labels == {"enlarged cardiac silhouette": None}


def test_a_heading_that_names_the_views_holds_the_findings(source: Path) -> None:
    assert records(source)["s50000003"].findings == "Cardiomegaly."


def test_unpacked_reports_are_read_as_well(source: Path) -> None:
    packed = records(source)
    archive = source / CXR / "mimic-cxr-reports.zip"
    with zipfile.ZipFile(archive) as file:
        file.extractall(source / CXR)
    archive.unlink()
    assert MIMIC_CXR_READER.check(source) == []
    assert records(source) == packed


def test_version_2_0_0_is_found_as_well(source: Path) -> None:
    for project in ("mimic-cxr-jpg", "mimic-cxr"):
        (source / project / "2.1.0").rename(source / project / "2.0.0")
    assert MIMIC_CXR_READER.check(source) == []
    assert records(source)["s50000001"].images[0].path.startswith("mimic-cxr-jpg/2.0.0/files/")


def test_a_whole_download_misses_nothing(source: Path) -> None:
    assert MIMIC_CXR_READER.check(source) == []


def test_an_empty_folder_misses_every_table_by_name_and_address(tmp_path: Path) -> None:
    files = "https://physionet.org/files"
    assert {(m.path, m.problem, m.get_from) for m in MIMIC_CXR_READER.check(tmp_path)} == {
        (f"{JPG}/mimic-cxr-2.0.0-{name}.csv.gz", "missing", f"{files}/{JPG}/mimic-cxr-2.0.0-{name}.csv.gz")
        for name in ("metadata", "split", "chexpert", "negbio")
    } | {(f"{CXR}/mimic-cxr-reports.zip", "missing", f"{files}/{CXR}/mimic-cxr-reports.zip")}


def test_every_missing_and_truncated_file_is_named(source: Path) -> None:
    (source / JPG / image_file(LATERAL)).unlink()
    later = source / JPG / image_file(LATER)
    later.write_bytes(later.read_bytes()[:-20])
    (source / JPG / image_file(TESTED)).write_bytes(b"")
    table = source / JPG / "mimic-cxr-2.0.0-negbio.csv.gz"
    table.write_bytes(table.read_bytes()[:-12])

    found = MIMIC_CXR_READER.check(source)

    address = f"https://physionet.org/files/{JPG}/"
    assert found == [
        Missing(f"{JPG}/{table.name}", "truncated", address + table.name),
        Missing(f"{JPG}/{image_file(LATERAL)}", "missing", address + image_file(LATERAL)),
        Missing(f"{JPG}/{image_file(LATER)}", "truncated", address + image_file(LATER)),
        Missing(f"{JPG}/{image_file(TESTED)}", "empty", address + image_file(TESTED)),
    ]


def test_an_archive_of_reports_that_is_cut_short_is_named(source: Path) -> None:
    archive = source / CXR / "mimic-cxr-reports.zip"
    archive.write_bytes(archive.read_bytes()[:-30])
    assert [(m.path, m.problem) for m in MIMIC_CXR_READER.check(source)] == [
        (f"{CXR}/mimic-cxr-reports.zip", "truncated")
    ]


def test_single_missing_reports_are_named_where_they_were_unpacked(source: Path) -> None:
    text = source / CXR / "files/p10/p10000001/s50000001.txt"
    text.parent.mkdir(parents=True)
    text.write_text(REPORTS["50000001"])
    (source / CXR / "mimic-cxr-reports.zip").unlink()
    assert [m.path for m in MIMIC_CXR_READER.check(source)] == [
        f"{CXR}/files/p10/p10000001/s50000002.txt",
        f"{CXR}/files/p12/p12000003/s50000003.txt",
    ]


def test_a_table_that_is_not_what_was_published_is_named(source: Path) -> None:
    (source / JPG / "SHA256SUMS.txt").write_text(f"{'0' * 64} mimic-cxr-2.0.0-split.csv.gz\n")
    assert [(m.path, m.problem) for m in MIMIC_CXR_READER.check(source)] == [
        (f"{JPG}/mimic-cxr-2.0.0-split.csv.gz", "altered")
    ]


def test_a_study_keeps_the_images_that_are_there(source: Path) -> None:
    (source / JPG / image_file(FRONTAL)).unlink()
    assert [image.view for image in records(source)["s50000001"].images] == ["LATERAL"]


def test_a_study_without_images_or_report_is_left_out_with_its_reason(source: Path) -> None:
    (source / JPG / image_file(TESTED)).unlink()
    draw_reports(source, {study: text for study, text in REPORTS.items() if study != "50000002"})
    assert refusals(MIMIC_CXR_READER, source) == {
        "s50000002": "its report is missing",
        "s50000003": "no image of it was downloaded",
    }


def test_a_damaged_report_costs_only_its_study(source: Path) -> None:
    archive = source / CXR / "mimic-cxr-reports.zip"
    archive.write_bytes(archive.read_bytes().replace(b"Cardiomegaly.", b"Cardiomegal!."))
    assert refusals(MIMIC_CXR_READER, source) == {"s50000003": "its report is damaged"}


def test_a_missing_table_is_an_error_without_a_trace(source: Path) -> None:
    (source / JPG / "mimic-cxr-2.0.0-metadata.csv.gz").unlink()
    with pytest.raises(DatasetError, match="metadata"):
        MIMIC_CXR_READER.cases(source)


def test_another_table_under_a_published_name_is_refused(source: Path) -> None:
    shutil.copy(
        source / JPG / "mimic-cxr-2.0.0-chexpert.csv.gz", source / JPG / "mimic-cxr-2.0.0-metadata.csv.gz"
    )
    with pytest.raises(DatasetError, match="dicom_id"):
        MIMIC_CXR_READER.cases(source)

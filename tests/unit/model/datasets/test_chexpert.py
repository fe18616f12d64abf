"""CheXpert in both published sizes: a study is one record, uncertain is None, unmentioned is not said."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.errors import DatasetError
from model.training.datasets.chexpert import CHEXPERT_READER
from model.training.datasets.record import Record
from tests.unit.model.datasets.refused import refusals

OBSERVATIONS = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,"
    "Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
HEADER = f"Path,Sex,Age,Frontal/Lateral,AP/PA,{OBSERVATIONS}"
TRAIN = (
    "train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0",
    "train/patient00002/study2/view2_lateral.jpg,Male,87,Lateral,,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,",
    "train/patient00002/study2/view1_frontal.jpg,Male,87,Frontal,PA,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,",
)
VALID = ("valid/patient64541/study1/view1_frontal.jpg,Male,0,Frontal,PA,0,1,1,0,0,0,0,0,0,0,0,0,0,0",)
TEST = ("test/patient64741/study1/view1_frontal.jpg,0,0,1,0,0,0,0,0,0,0,1,0,0,1",)
TABLES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "train.csv": (HEADER, TRAIN),
    "valid.csv": (HEADER, VALID),
    "test_labels.csv": (f"Path,{OBSERVATIONS}", TEST),
}


def _download(source: Path, prefix: str = "CheXpert-v1.0-small/") -> Path:
    for name, (header, rows) in TABLES.items():
        (source / name).write_text("\n".join((header, *(prefix + row for row in rows))) + "\n")
        for row in rows:
            path = source / row.split(",")[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((32, 39), np.uint8)).save(path)
    return source


def _records(source: Path) -> dict[str, Record]:
    return {record.record_id: record for record in CHEXPERT_READER.records(source)}


@pytest.mark.parametrize("prefix", ["CheXpert-v1.0-small/", "CheXpert-v1.0/", ""])
def test_a_whole_download_lacks_nothing(tmp_path: Path, prefix: str) -> None:
    source = _download(tmp_path, prefix)
    assert CHEXPERT_READER.check(source) == []
    assert len(_records(source)) == 4


def test_views_of_a_study_are_one_record_with_the_frontal_first(tmp_path: Path) -> None:
    record = _records(_download(tmp_path))["patient00002/study2"]
    assert [(image.path, image.view) for image in record.images] == [
        ("train/patient00002/study2/view1_frontal.jpg", "PA"),
        ("train/patient00002/study2/view2_lateral.jpg", "LATERAL"),
    ]
    assert (record.subject, record.age, record.sex) == ("patient00002", 87, "M")


def test_uncertain_is_none_and_unmentioned_is_not_said(tmp_path: Path) -> None:
    records = _records(_download(tmp_path))
    assert records["patient00001/study1"].labels == {
        "no finding": True,
        "pneumothorax": False,
        "support devices": True,
    }
    assert records["patient00002/study2"].labels == {
        "enlarged cardiac silhouette": None,
        "lung opacity": True,
        "pulmonary edema/hazy opacity": None,
        "consolidation": None,
        "atelectasis": None,
        "pleural effusion": None,
        "fracture": True,
    }


def test_splits_are_the_published_ones(tmp_path: Path) -> None:
    splits = {record.subject: record.split for record in _records(_download(tmp_path)).values()}
    assert splits == {
        "patient00001": "train",
        "patient00002": "train",
        "patient64541": "validate",
        "patient64741": "test",
    }


def test_the_test_labels_say_neither_age_nor_view(tmp_path: Path) -> None:
    record = _records(_download(tmp_path))["patient64741/study1"]
    assert (record.age, record.sex, record.images[0].view) == (None, None, "FRONTAL")
    assert len(record.labels) == 14
    present = {name for name, state in record.labels.items() if state}
    assert present == {"enlarged cardiac silhouette", "pleural effusion", "support devices"}


def test_who_only_measures_needs_the_test_set_alone(tmp_path: Path) -> None:
    source = _download(tmp_path)
    for name in ("train.csv", "valid.csv"):
        (source / name).unlink()
    assert [one.path for one in CHEXPERT_READER.check(source)] == ["train.csv", "valid.csv"]
    assert list(_records(source)) == ["patient64741/study1"]


def test_missing_and_cut_files_are_named(tmp_path: Path) -> None:
    source = _download(tmp_path)
    lateral = source / "train/patient00002/study2/view2_lateral.jpg"
    lateral.write_bytes(lateral.read_bytes()[:-70])
    (source / VALID[0].split(",")[0]).unlink()
    found = {one.path: one.problem for one in CHEXPERT_READER.check(source)}
    assert found == {
        "train/patient00002/study2/view2_lateral.jpg": "truncated",
        "valid/patient64541/study1/view1_frontal.jpg": "missing",
    }
    assert len(_records(source)) == 2


def test_bad_rows_cost_only_themselves(tmp_path: Path) -> None:
    source = _download(tmp_path)
    bad = (
        "train/patient00003/study1/view1.jpg,Male,50,Frontal,PA,1.0,,,,,,,,,,,,,",
        "train/patient00004/study1/view1_frontal.jpg,Male,50,Frontal,PA,2.0,,,,,,,,,,,,,",
        "train/patient00005/study1/view1_frontal.jpg,Male,50,Frontal,PA,1.0,,,,,,,,,,,,,",
        "train/patient00005/study1/view2_frontal.jpg,Male,50,Frontal,PA,0.0,,,,,,,,,,,,,",
    )
    with (source / "train.csv").open("a") as table:
        table.write("\n".join(bad))
    reasons = refusals(CHEXPERT_READER, source)
    assert len(_records(source)) == 4
    assert sorted(reasons.values()) == [
        "Path leads to no view of a study",
        "a label is neither 1, 0 nor -1",
        "views of one study differ in their observations",
    ]


def test_an_empty_folder_is_no_download(tmp_path: Path) -> None:
    assert [one.path for one in CHEXPERT_READER.check(tmp_path)] == list(TABLES)
    with pytest.raises(DatasetError, match=r"train\.csv"):
        CHEXPERT_READER.cases(tmp_path)

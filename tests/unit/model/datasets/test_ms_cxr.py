"""MS-CXR in both published forms: phrases with boxes, split, and what is missing."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from model.errors import DatasetError
from model.training.datasets.ms_cxr import MS_CXR_READER
from model.training.datasets.record import Record, RecordBox
from tests.unit.model.datasets.drawn_mimic import (
    COLUMNS,
    FRONTAL,
    JPG,
    LATER,
    ROWS,
    TESTED,
    draw_mimic,
    image_file,
    write_table,
)
from tests.unit.model.datasets.refused import refusals

FOLDER = "ms-cxr/1.1.0"
NAME = "MS_CXR_Local_Alignment_v1.1.0"
PHRASES = (
    (FRONTAL, "Pneumothorax", "small right  apical pneumothorax", (10, 5, 20, 10), "train"),
    (FRONTAL, "Cardiomegaly", "The heart is enlarged", (10, 20, 40, 10), "train"),
    (LATER, "Edema", "mild edema", (0, 0, 20, 25), "val"),
    (TESTED, "Lung Opacity", "opacity at the base", (20, 30, 10, 10), "test"),
)


def draw_table(source: Path, phrases: Sequence[tuple[str, str, str, tuple[int, ...], str]] = PHRASES) -> None:
    write_table(
        source / FOLDER / f"{NAME}.csv",
        (
            {
                "category_name": category,
                "label_text": text,
                "path": image_file(dicom_id),
                "x": str(box[0]),
                "y": str(box[1]),
                "w": str(box[2]),
                "h": str(box[3]),
                "image_width": str(COLUMNS),
                "image_height": str(ROWS),
                "dicom_id": dicom_id,
                "split": split,
            }
            for dicom_id, category, text, box, split in phrases
        ),
    )


def draw_coco(source: Path) -> None:
    dicom_ids = list(dict.fromkeys(phrase[0] for phrase in PHRASES))
    categories = list(dict.fromkeys(phrase[1] for phrase in PHRASES))
    content = {
        "info": {"version": "1.1.0"},
        "licenses": [],
        "categories": [{"id": n, "name": name, "supercategory": ""} for n, name in enumerate(categories)],
        "images": [
            {
                "id": n,
                "file_name": f"{dicom_id}.jpg",
                "width": COLUMNS,
                "height": ROWS,
                "path": image_file(dicom_id),
                "num_annotations": 1,
            }
            for n, dicom_id in enumerate(dicom_ids)
        ],
        "annotations": [
            {
                "id": n,
                "image_id": dicom_ids.index(dicom_id),
                "category_id": categories.index(category),
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
                "label_text": text,
                "split": split,
            }
            for n, (dicom_id, category, text, box, split) in enumerate(PHRASES)
        ],
    }
    path = source / FOLDER / f"{NAME}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    draw_table(draw_mimic(tmp_path))
    return tmp_path


def records(source: Path) -> Mapping[str, Record]:
    return {record.record_id: record for record in MS_CXR_READER.records(source)}


def test_an_image_is_one_record_with_its_phrases_in_boxes(source: Path) -> None:
    record = records(source)[f"{FRONTAL}-train"]
    assert record.boxes == (
        RecordBox("pneumothorax", 0, (0.25, 0.1, 0.75, 0.3), "small right apical pneumothorax"),
        RecordBox("enlarged cardiac silhouette", 0, (0.25, 0.4, 1, 0.6), "The heart is enlarged"),
    )
    assert record.images[0].path == f"{JPG}/{image_file(FRONTAL)}"
    assert (record.subject, record.study) == ("p10000001", "s50000001")


def test_the_published_split_is_kept(source: Path) -> None:
    assert [record.split for record in records(source).values()] == ["train", "validate", "test"]


def test_the_coco_file_says_the_same_as_the_table(source: Path) -> None:
    table = records(source)
    (source / FOLDER / f"{NAME}.csv").unlink()
    draw_coco(source)
    assert MS_CXR_READER.check(source) == []
    assert records(source) == table


def test_earlier_versions_without_split_are_all_test(source: Path) -> None:
    draw_table(source, [(*phrase[:4], "") for phrase in PHRASES])
    (source / FOLDER / f"{NAME}.csv").rename(source / FOLDER / "MS_CXR_Local_Alignment_v1.0.0.csv")
    (source / FOLDER).rename(source / "ms-cxr/0.1")
    assert MS_CXR_READER.check(source) == []
    assert {key: record.split for key, record in records(source).items()} == dict.fromkeys(
        (FRONTAL, LATER, TESTED), "test"
    )


@pytest.mark.parametrize("box", [(10, 10, 0, 5), (60, 10, 5, 5)])
def test_an_empty_box_costs_only_its_image(source: Path, box: tuple[int, int, int, int]) -> None:
    draw_table(source, [(LATER, "Edema", "mild edema", box, "val"), PHRASES[3]])
    assert refusals(MS_CXR_READER, source) == {f"{LATER}-val": "A box is empty or reaches out of its image"}
    assert list(records(source)) == [f"{TESTED}-test"]


def test_a_whole_download_misses_nothing(source: Path) -> None:
    assert MS_CXR_READER.check(source) == []


def test_every_missing_file_is_named(source: Path) -> None:
    (source / JPG / image_file(LATER)).unlink()
    assert [(m.path, m.problem) for m in MS_CXR_READER.check(source)] == [
        (f"{JPG}/{image_file(LATER)}", "missing")
    ]
    (source / FOLDER / f"{NAME}.csv").unlink()
    assert [(m.path, m.get_from) for m in MS_CXR_READER.check(source)] == [
        (f"{FOLDER}/{NAME}.csv", f"https://physionet.org/files/{FOLDER}/{NAME}.csv")
    ]


@pytest.mark.parametrize(
    "content", ["{", '{"images": []}', '{"images": 1, "categories": [], "annotations": []}']
)
def test_a_malformed_coco_file_is_an_error(source: Path, content: str) -> None:
    (source / FOLDER / f"{NAME}.csv").unlink()
    (source / FOLDER / f"{NAME}.json").write_text(content)
    with pytest.raises(DatasetError, match=NAME):
        MS_CXR_READER.cases(source)

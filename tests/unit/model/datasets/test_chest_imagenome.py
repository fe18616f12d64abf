"""Chest ImaGenome in its published layout: boxes, captions, labels, change, split, and what is missing."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from model.errors import DatasetError
from model.training.datasets.chest_imagenome import CHEST_IMAGENOME_READER
from model.training.datasets.record import Record, RecordBox
from tests.unit.model.datasets.drawn_mimic import (
    COLUMNS,
    FRONTAL,
    IMAGENOME,
    JPG,
    LATER,
    ROWS,
    TESTED,
    draw_imagenome,
    draw_mimic,
    graph,
    image_file,
    relation,
)
from tests.unit.model.datasets.refused import refusals


@pytest.fixture
def source(tmp_path: Path) -> Path:
    draw_mimic(tmp_path)
    draw_imagenome(tmp_path, {FRONTAL: graph(FRONTAL), TESTED: graph(TESTED)})
    return tmp_path


def records(source: Path) -> Mapping[str, Record]:
    return {record.record_id: record for record in CHEST_IMAGENOME_READER.records(source)}


def compared(source: Path, *relations: object) -> Record:
    """The record of the later image with these comparisons."""
    draw_imagenome(source, {LATER: graph(LATER, relationships=list(relations))})
    return records(source)[LATER]


def test_structures_have_boxes_as_fractions_and_captions(source: Path) -> None:
    anatomy = [box for box in records(source)[FRONTAL].boxes if box.anatomy]
    opacity = "There is a right opacity, likely pneumonia. No pneumothorax."
    assert anatomy == [
        RecordBox("right lung", 0, (4 / COLUMNS, 10 / ROWS, 20 / COLUMNS, 40 / ROWS), opacity, anatomy=True),
        RecordBox("left lung", 0, (22 / COLUMNS, 0, 1, 40 / ROWS), "No pneumothorax.", anatomy=True),
    ]


def test_findings_are_boxed_through_their_structure(source: Path) -> None:
    findings = [box for box in records(source)[FRONTAL].boxes if not box.anatomy]
    right_lung = (4 / COLUMNS, 10 / ROWS, 20 / COLUMNS, 40 / ROWS)
    assert findings == [RecordBox("lung opacity", 0, right_lung), RecordBox("pneumonia", 0, right_lung)]


def test_a_label_is_present_if_any_structure_has_it(source: Path) -> None:
    assert records(source)[FRONTAL].labels == {
        "lung opacity": True,
        "pneumonia": True,
        "pneumothorax": False,
        "enteric tube": True,
    }


def test_the_order_is_told_without_identity(source: Path) -> None:
    record = records(source)[FRONTAL]
    assert (record.age, record.sex, record.indication) == (65, "F", "___ year old with cough")
    assert (record.subject, record.study) == ("p10000001", "s50000001")


@pytest.mark.parametrize(("told", "age"), [("90-100", 95), (None, None), (">90", None)])
def test_an_age_is_the_middle_of_its_ten_years(source: Path, told: str | None, age: float | None) -> None:
    draw_imagenome(source, {FRONTAL: graph(FRONTAL, age_decile=told, gender=None, reason_for_exam=None)})
    record = records(source)[FRONTAL]
    assert (record.age, record.sex, record.indication) == (age, None, None)


def test_the_split_is_that_of_mimic(source: Path) -> None:
    draw_imagenome(source, {name: graph(name) for name in (FRONTAL, LATER, TESTED)})
    assert {name: record.split for name, record in records(source).items()} == {
        FRONTAL: "train",
        LATER: "validate",
        TESTED: "test",
    }


def test_images_of_the_gold_standard_are_kept_out_of_training_only(source: Path) -> None:
    draw_imagenome(source, {FRONTAL: graph(FRONTAL), TESTED: graph(TESTED)}, avoided=(FRONTAL, TESTED))
    assert list(records(source)) == [TESTED]
    assert "gold standard" in refusals(CHEST_IMAGENOME_READER, source)[FRONTAL]


def test_change_is_told_against_the_earlier_image(source: Path) -> None:
    record = compared(source, relation(LATER, FRONTAL, "right lung", ["worsened"], ["lung opacity"]))
    assert record.change == "The lung opacity has worsened."
    assert [image.path for image in record.priors] == [f"{JPG}/{image_file(FRONTAL)}"]


def test_change_that_differs_between_structures_is_told_for_each(source: Path) -> None:
    record = compared(
        source,
        relation(LATER, FRONTAL, "right lung", ["improved"], ["lung opacity", "pneumonia"]),
        relation(LATER, FRONTAL, "left lung", ["no change"], ["lung opacity"]),
    )
    assert record.change == (
        "The lung opacity in the right lung has improved. The lung opacity in the left lung is unchanged. "
        "The pneumonia has improved."
    )


@pytest.mark.parametrize(
    ("ways", "said"), [(["improved", "worsened"], ["lung opacity"]), (["worsened"], []), ([], ["pneumonia"])]
)
def test_an_unclear_comparison_tells_no_change(source: Path, ways: list[str], said: list[str]) -> None:
    record = compared(source, relation(LATER, FRONTAL, "right lung", ways, said))
    assert record.change is None
    assert record.priors == ()


def test_comparisons_with_a_second_earlier_image_are_left_out(source: Path) -> None:
    record = compared(
        source,
        relation(LATER, TESTED, "left lung", ["worsened"], ["pneumonia"]),
        relation(LATER, FRONTAL, "right lung", ["improved"], ["lung opacity"]),
        relation(LATER, FRONTAL, "left lung", ["improved"], ["lung opacity"]),
    )
    assert record.change == "The lung opacity has improved."


def test_change_is_left_out_where_the_earlier_image_is_missing(source: Path) -> None:
    (source / JPG / image_file(FRONTAL)).unlink()
    record = compared(source, relation(LATER, FRONTAL, "right lung", ["worsened"], ["lung opacity"]))
    assert (record.change, record.priors) == (None, ())


def test_unpacked_graphs_are_read_as_well(source: Path) -> None:
    packed = records(source)
    archive = source / IMAGENOME / "scene_graph.zip"
    with zipfile.ZipFile(archive) as file:
        file.extractall(source / IMAGENOME / "scene_graph")
    archive.unlink()
    assert CHEST_IMAGENOME_READER.check(source) == []
    assert records(source) == packed


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"image_id": TESTED, "objects": "none"}, "the scene graph is not in its layout"),
        ([], "the scene graph is not in its layout"),
    ],
)
def test_a_graph_of_another_layout_costs_only_itself(source: Path, content: object, reason: str) -> None:
    draw_imagenome(source, {FRONTAL: graph(FRONTAL), TESTED: content})
    assert refusals(CHEST_IMAGENOME_READER, source) == {TESTED: reason}


def test_a_graph_of_an_unknown_image_costs_only_itself(source: Path) -> None:
    draw_imagenome(source, {FRONTAL: graph(FRONTAL), "eeeeeeee-unknown": graph("eeeeeeee-unknown")})
    assert refusals(CHEST_IMAGENOME_READER, source) == {
        "eeeeeeee-unknown": "MIMIC-CXR-JPG does not name its image"
    }


def test_a_whole_download_misses_nothing(source: Path) -> None:
    assert CHEST_IMAGENOME_READER.check(source) == []


def test_both_downloads_are_missed_by_name(tmp_path: Path) -> None:
    assert [(m.path, m.problem) for m in CHEST_IMAGENOME_READER.check(tmp_path)] == [
        (f"{IMAGENOME}/scene_graph.zip", "missing"),
        (f"{IMAGENOME}/splits/images_to_avoid.csv", "missing"),
        (f"{JPG}/mimic-cxr-2.0.0-metadata.csv.gz", "missing"),
        (f"{JPG}/mimic-cxr-2.0.0-split.csv.gz", "missing"),
    ]


def test_only_images_that_have_a_graph_are_missed(source: Path) -> None:
    for name in (FRONTAL, LATER):
        (source / JPG / image_file(name)).unlink()
    assert [m.path for m in CHEST_IMAGENOME_READER.check(source)] == [f"{JPG}/{image_file(FRONTAL)}"]


def test_an_archive_that_is_cut_short_is_named_and_no_trace(source: Path) -> None:
    archive = source / IMAGENOME / "scene_graph.zip"
    archive.write_bytes(archive.read_bytes()[:-40])
    assert [(m.path, m.problem) for m in CHEST_IMAGENOME_READER.check(source)] == [
        (f"{IMAGENOME}/scene_graph.zip", "truncated")
    ]
    with pytest.raises(DatasetError, match=r"scene_graph\.zip"):
        CHEST_IMAGENOME_READER.cases(source)

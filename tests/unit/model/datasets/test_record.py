"""The common form of training data, there and back, and what it refuses."""

import json
from dataclasses import replace

import pytest
from hypothesis import given

from model.errors import DatasetError, RowError
from model.reading import Modality
from model.training.datasets.record import (
    Record,
    RecordBox,
    RecordImage,
    RecordMask,
    RecordQuestion,
    RunLengths,
)
from tests.unit.model.datasets.drawn_records import records

SMALL = Record(
    dataset="drawn",
    record_id="1",
    subject="s",
    study="t",
    split="train",
    modality=Modality.CXR,
    images=(RecordImage("a.png"),),
    priors=(RecordImage("b.png"),),
)


@given(records())
def test_a_record_survives_its_line(record: Record) -> None:
    line = record.to_json()
    assert "\n" not in line
    assert Record.from_json(line) == record


def test_a_line_says_only_what_is_known() -> None:
    assert json.loads(SMALL.to_json()) == {
        "dataset": "drawn",
        "record_id": "1",
        "subject": "s",
        "study": "t",
        "split": "train",
        "modality": "cxr",
        "images": [{"path": "a.png"}],
        "priors": [{"path": "b.png"}],
    }


def test_an_uncertain_label_is_not_an_absent_one() -> None:
    labels = {"pneumonia": None, "edema": False}
    assert Record.from_json(replace(SMALL, labels=labels).to_json()).labels == labels


def test_images_are_counted_on_through_the_prior() -> None:
    assert [image.path for image in SMALL.shown] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"images": ()},
        {"boxes": (RecordBox("heart", 2, (0, 0, 1, 1)),)},
        {"boxes": (RecordBox("heart", -1, (0, 0, 1, 1)),)},
        {"boxes": (RecordBox("heart", 0, (0.5, 0, 0.5, 1)),)},
        {"boxes": (RecordBox("heart", 0, (0, 0, 1.01, 1)),)},
        {"boxes": (RecordBox("heart", 0, (0, 0, float("nan"), 1)),)},
        {"masks": (RecordMask("heart", 0),)},
        {"masks": (RecordMask("heart", 0, rle=RunLengths((3, 2), (2, 3))),)},
        {"masks": (RecordMask("heart", 0, rle=RunLengths((3, 2), (7, -1))),)},
        {"questions": (RecordQuestion("why?", "so.", (5,)),)},
        {"age": float("inf")},
        {"images": (RecordImage("a.png", spacing_mm=(0.0, 1.0)),)},
    ],
)
def test_a_record_that_nobody_could_use_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(RowError):
        replace(SMALL, **wrong)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "{}",
        SMALL.to_json()[:-1] + ',"name":"Doe^Jane"}',
        SMALL.to_json().replace("cxr", "Doe"),
    ],
)
def test_a_malformed_line_is_an_error_that_repeats_nothing(line: str) -> None:
    with pytest.raises(DatasetError) as caught:
        Record.from_json(line)
    assert "Doe" not in str(caught.value)

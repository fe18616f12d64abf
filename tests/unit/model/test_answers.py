"""Generated text becomes statements or caveats; what breaks a grammar is never a finding."""

import numpy as np
import pytest

from model.answers import (
    detections_in,
    diagnosis_in,
    has_segment,
    is_frontal_chest,
    labels_in,
    yes_or_no,
)
from model.reading import CHEST_FINDINGS

NODULE, CONSOLIDATION, EFFUSION, PNEUMOTHORAX, HEART = CHEST_FINDINGS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lung nodule,pleural effusion", {NODULE, EFFUSION}),
        ("lung nodule, pleural effusion.", {NODULE, EFFUSION}),
        ("no finding", set()),
    ],
)
def test_labels(text: str, expected: set[str]) -> None:
    parsed = labels_in(text)
    assert (parsed.value, parsed.caveats) == (expected, ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lung nodule,dragon", frozenset({NODULE})),
        ("dragon", None),
        ("no finding,lung nodule", None),
        ("", None),
    ],
)
def test_strange_labels_are_told(text: str, expected: frozenset[str] | None) -> None:
    parsed = labels_in(text)
    assert parsed.value == expected
    assert parsed.caveats


@pytest.mark.parametrize(("text", "expected"), [("Yes.", True), ("no", False), ("Maybe.", None), ("", None)])
def test_yes_or_no(text: str, expected: bool | None) -> None:
    assert yes_or_no(text) is expected


NAMES = ("left lung", "heart", "spine")


def test_detection_in_question_order_with_its_tags() -> None:
    parsed = detections_in("left lung,<DET>.heart,<N/A>.spine,<DET>,<DET>.", NAMES)
    assert [(d.name, d.tags) for d in parsed.value] == [("left lung", (0,)), ("heart", ()), ("spine", (1, 2))]
    assert parsed.caveats == ()


@pytest.mark.parametrize(
    ("text", "found", "caveat"),
    [
        ("left lung,<DET>.liver,<DET>.spine,<DET>.", {"left lung": (0,), "spine": (2,)}, "malformed"),
        ("left lung,<DET>.heart,<N/A>.", {"left lung": (0,), "heart": ()}, "says nothing of spine"),
        ("left lung,<DET>.left lung,<DET>.spine,<DET>.heart,<N/A>.",
         {"left lung": (0,), "heart": (), "spine": (2,)}, "twice"),
        ("left lung.heart,<N/A>.spine,<N/A>.", {"heart": (), "spine": ()}, "malformed"),
        ("left lung,<DET>.heart,<DET>,<DET>,<DET>,<DET>.spine,<N/A>.",
         {"left lung": (0,), "heart": (1, 2, 3), "spine": ()}, "More than 3"),
        ("left lung,<DET>,<N/A>.heart,<N/A>.spine,<N/A>.", {"heart": (), "spine": ()}, "malformed"),
        ("left lung,<DET>.heart,<N/A>.spine,<DE", {"left lung": (0,), "heart": ()}, "malformed"),
        ("le<DET>ft lung,<DET>.heart,<N/A>.spine,<N/A>.", {"heart": (), "spine": ()}, "malformed"),
        ("left lung,<2DSEG>.heart,<N/A>.spine,<N/A>.", {"heart": (), "spine": ()}, "malformed"),
        ("", {}, "says nothing"),
    ],
)  # fmt: skip
def test_malformed_detection(text: str, found: dict[str, tuple[int, ...]], caveat: str) -> None:
    parsed = detections_in(text, NAMES)
    assert {d.name: d.tags for d in parsed.value} == found
    assert any(caveat in told for told in parsed.caveats)


def test_five_hundred_broken_detections_never_raise_nor_invent_a_name() -> None:
    rng = np.random.default_rng(7)
    pieces = [
        "left lung",
        "heart",
        ",",
        ".",
        "<DET>",
        "<N/A>",
        "<2DSEG>",
        "<",
        ">",
        "liver",
        " ",
        "<img0>",
        "###",
    ]
    for _ in range(500):
        text = "".join(rng.choice(pieces, rng.integers(0, 20)))
        parsed = detections_in(text, NAMES)
        for detected in parsed.value:
            assert detected.name in NAMES
            assert all(tag < text.count("<DET>") for tag in detected.tags)
        assert parsed.caveats


@pytest.mark.parametrize(
    ("text", "tag", "expected", "told"),
    [
        ("The segmentation mask of liver is <3DSEG>.", "<3DSEG>", True, False),
        ("There is no liver in the volume.", "<3DSEG>", False, False),
        ("The segmentation mask of liver is <2DSEG>.", "<3DSEG>", False, True),
        ("The segmentation mask of spleen is <3DSEG>.", "<3DSEG>", False, True),
        ("The segmentation mask of liver is <3DSEG><3DSEG>.", "<3DSEG>", False, True),
        ("The liver.", "<3DSEG>", False, True),
        ("", "<3DSEG>", False, True),
    ],
)
def test_segmentation_answer(text: str, tag: str, expected: bool, told: bool) -> None:
    parsed = has_segment(text, "liver", tag)
    assert parsed.value is expected
    assert bool(parsed.caveats) is told


def test_nevus_stays_a_nevus() -> None:
    assert diagnosis_in("The main diagnosis is melanocytic nevus.").value == "melanocytic nevus"
    assert diagnosis_in("The main diagnosis is melanoma.").value == "melanoma"


@pytest.mark.parametrize("text", ["", "A wart.", "Melanoma or basal cell carcinoma."])
def test_diagnosis_that_is_not_one_is_told(text: str) -> None:
    parsed = diagnosis_in(text)
    assert parsed.value is None
    assert parsed.caveats


def test_gate_answer() -> None:
    assert is_frontal_chest("A frontal chest radiograph.")
    assert not is_frontal_chest("Not a frontal chest radiograph.")
    assert not is_frontal_chest("")

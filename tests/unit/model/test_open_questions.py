"""Open questions have the true answer, in words that serving can read."""

from dataclasses import replace

import numpy as np
import pytest

from model.answers import labels_in, yes_or_no
from model.reading import CHEST_FINDINGS, Laterality
from model.training.open_questions import OpenQuestion, open_questions
from model.training.phantoms.truth import ChestView, FindingTruth, ForeignCase
from model.training.telling import visible_findings
from tests.drawn_truths import BLANK, CONSOLIDATION, EFFUSION, HEART, NODULE, random_view

RIGHT_UPPER = FindingTruth(NODULE, Laterality.RIGHT, "upper", 0.5, (0.2, 0.2, 0.3, 0.3), 3.0)
SEEDS = range(60)


def view_of(*findings: FindingTruth) -> ChestView:
    return ChestView(BLANK, {}, {}, findings, (1.0, 1.0), "PA")


def asked(view: ChestView, kind: str, about: str = "") -> list[OpenQuestion]:
    """Every question of one kind that 60 seeds put."""
    return [
        question
        for seed in SEEDS
        for question in open_questions(view, np.random.default_rng(seed))
        if question.kind == kind and about in question.question
    ]


def answers(view: ChestView, kind: str, about: str = "") -> set[str]:
    return {question.answer for question in asked(view, kind, about)}


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("location", "Right upper lung zone."),
        ("side", "Right."),
        ("level", "Moderate."),
        ("count", "One."),
        ("normality", "No."),
        ("abnormality", "lung nodule"),
    ],
)
def test_a_single_nodule_is_told(kind: str, answer: str) -> None:
    told = {q.answer for q in asked(view_of(RIGHT_UPPER), kind) if not q.answer.startswith("There is no")}
    assert told == {answer}


def test_two_nodules_are_counted_and_placed() -> None:
    left = replace(RIGHT_UPPER, laterality=Laterality.LEFT, zone="lower", box=(0.7, 0.7, 0.8, 0.8))
    view = view_of(left, RIGHT_UPPER)
    assert answers(view, "count") == {"Two."}
    assert "Right upper lung zone and left lower lung zone." in answers(view, "location")
    assert "Both sides." in answers(view, "side")


def test_findings_are_not_mixed_up() -> None:
    view = view_of(
        RIGHT_UPPER,
        FindingTruth(CONSOLIDATION, Laterality.LEFT, "lower", 0.5, (0.7, 0.7, 0.8, 0.8), 3.0),
        FindingTruth(EFFUSION, Laterality.LEFT, None, 0.9, (0.6, 0.6, 0.9, 0.9), 4.0),
    )
    for name, side, place in (
        (NODULE, "Right.", {"Right upper lung zone."}),
        (CONSOLIDATION, "Left.", {"Left lower lung zone."}),
        (EFFUSION, "Left.", set[str]()),
    ):
        assert answers(view, "side", name) == {side}
        assert answers(view, "location", name) == place


def test_bilateral_finding_has_both_sides_and_is_not_asked_for_one() -> None:
    view = view_of(FindingTruth(EFFUSION, Laterality.BILATERAL, None, 0.9, (0.1, 0.6, 0.9, 0.9), 4.0))
    assert answers(view, "side", EFFUSION) == {"Both sides."}
    assert answers(view, "level", EFFUSION) == {"Large."}
    assert not [q for q in asked(view, "presence", EFFUSION) if "left" in q.question or "right" in q.question]


def test_a_side_that_is_asked_is_affirmed_only_where_it_is() -> None:
    present = asked(view_of(RIGHT_UPPER), "presence")
    assert {q.answer for q in present if "right" in q.question} == {"Yes."}
    assert {q.answer for q in present if "left" in q.question} == {"No."}


@pytest.mark.parametrize("seed", range(40))
def test_presence_and_abnormalities_read_back_as_the_truth(seed: int) -> None:
    view = random_view(np.random.default_rng(seed))
    labels = {f.label for f in visible_findings(view)}
    for question in open_questions(view, np.random.default_rng(seed)):
        if question.kind == "abnormality":
            assert labels_in(question.answer).value == labels
        if question.kind == "normality":
            assert yes_or_no(question.answer) is not bool(labels)
        if question.kind == "presence":
            (name,) = [label for label in CHEST_FINDINGS if label in question.question]
            assert yes_or_no(question.answer) is not None
            assert name in labels or yes_or_no(question.answer) is False


def test_what_nobody_can_see_is_neither_affirmed_nor_denied() -> None:
    view = view_of(replace(RIGHT_UPPER, visibility=0.5))
    for seed in SEEDS:
        for question in open_questions(view, np.random.default_rng(seed)):
            assert "nodule" not in question.question
            assert question.kind != "normality"


def test_absent_finding_has_no_place_side_or_size() -> None:
    view = view_of()
    for kind in ("location", "side", "level"):
        told = asked(view, kind)
        assert told
        for question in told:
            (name,) = [label for label in CHEST_FINDINGS if label in question.question]
            assert question.answer == f"There is no {name}."
    assert answers(view, "count") == {"None."}
    assert answers(view, "normality") == {"Yes."}


def test_heart_has_no_side_and_consolidation_no_size() -> None:
    heart = FindingTruth(HEART, None, None, 0.5, (0.4, 0.4, 0.7, 0.7), 3.0)
    solid = replace(RIGHT_UPPER, label=CONSOLIDATION)
    view = view_of(heart, solid)
    assert not asked(view, "side", HEART)
    assert not asked(view, "level", CONSOLIDATION)


def test_where_alone_asks_for_a_box() -> None:
    assert not any(question.free for question in asked(view_of(RIGHT_UPPER), "location"))


def test_what_is_no_chest_is_asked_only_what_it_is() -> None:
    told = open_questions(ForeignCase(1, BLANK, "limb"), np.random.default_rng(0))
    assert {(q.kind, q.answer) for q in told} == {
        ("view", "Not a frontal chest radiograph."),
        ("view", "No."),
    }

"""What is taught is true, and what serving reads back from it is the truth again."""

from collections import Counter

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
from model.questions import Form
from model.reading import (
    ABDOMINAL_ORGANS,
    CHEST_FINDINGS,
    SKIN_LESIONS,
    ChangeStatus,
    Laterality,
    Presence,
    Task,
)
from model.report_language.changes import changes_in
from model.report_language.cleaning import clean_report
from model.report_language.statements import statements_in
from model.training.instruction import Instruction
from model.training.instructions import instructions_for
from model.training.phantoms.truth import (
    AbdomenCase,
    ChangeTruth,
    ChestCase,
    ChestView,
    FindingTruth,
    ForeignCase,
    SkinCase,
)
from model.training.telling import (
    findings_text,
    impression_text,
    visible_changes,
    visible_findings,
)
from tests.drawn_truths import BLANK, EFFUSION, MASK, NODULE, random_case, random_view

TRUTHS = [range(start, start + 20) for start in range(0, 200, 20)]
"""Seeds of 200 random truths, twenty to a test."""


def of_form(instructions: list[Instruction], form: Form, images: tuple[str, ...]) -> list[Instruction]:
    return [i for i in instructions if i.form is form and i.images == images]


def present(text: str) -> set[tuple[str, Laterality | None, str | None]]:
    return {(s.label, s.laterality, s.zone) for s in statements_in(text) if s.presence is Presence.PRESENT}


@pytest.mark.parametrize("truths", TRUTHS)
def test_report_reads_back_as_the_truth(truths: range) -> None:
    for seed in truths:
        view = random_view(np.random.default_rng(seed))
        findings = visible_findings(view)
        text = findings_text(findings)
        assert present(text) == {(f.label, f.laterality, f.zone) for f in findings}
        absent = {s.label for s in statements_in(text) if s.presence is Presence.ABSENT}
        assert absent == set(CHEST_FINDINGS) - {f.label for f in findings}
        assert {label for label, _, _ in present(impression_text(findings))} == {f.label for f in findings}
        assert clean_report(text, complete=True).value == text
        assert len(text.split()) <= 60


@pytest.mark.parametrize("truths", TRUTHS)
def test_every_instruction_reads_back_as_the_truth(truths: range) -> None:
    for seed in truths:
        case = random_case(seed)
        assert case.prior is not None
        instructions = instructions_for(case, np.random.default_rng(seed))
        for image, view in (("current", case.current), ("prior", case.prior)):
            labels = {f.label for f in visible_findings(view)}
            (listed,) = of_form(instructions, Form.LABELS, (image,))
            assert labels_in(listed.answer).value == labels
            for asked in of_form(instructions, Form.BINARY, (image,)):
                (label,) = asked.subjects
                assert yes_or_no(asked.answer) is (label in labels)
            for asked in of_form(instructions, Form.DETECTION, (image,)):
                check_detection(asked, view)


def check_detection(asked: Instruction, view: ChestView) -> None:
    parsed = detections_in(asked.answer, asked.subjects)
    assert parsed.caveats == ()
    assert len(asked.boxes) == asked.answer.count("<DET>")
    for detected in parsed.value:
        boxes = {asked.boxes[tag] for tag in detected.tags}
        if asked.task is Task.ANATOMY_DETECTION:
            assert boxes == ({view.boxes[detected.name]} if detected.name in view.boxes else set())
        else:
            truth = {f.box for f in visible_findings(view) if f.label == detected.name}
            assert boxes <= truth
            assert len(boxes) == min(3, len(truth))


@pytest.mark.parametrize("truths", TRUTHS)
def test_comparison_reads_back_as_the_truth(truths: range) -> None:
    for seed in truths:
        case = random_case(seed)
        instructions = instructions_for(case, np.random.default_rng(seed))
        (asked,) = of_form(instructions, Form.DIFFERENCE, ("current", "prior"))
        parsed = changes_in(asked.answer)
        assert parsed.caveats == ()
        truth = {(c.label, c.laterality, c.status) for c in visible_changes(case)}
        assert {(c.label, c.laterality, c.status) for c in parsed.value} == truth


def test_time_runs_backwards_in_swapped_images() -> None:
    case = next(case for seed in range(99) if len(visible_changes(case := random_case(seed))) > 2)
    instructions = instructions_for(case, np.random.default_rng(0))
    (forth,) = of_form(instructions, Form.DIFFERENCE, ("current", "prior"))
    (back,) = of_form(instructions, Form.DIFFERENCE, ("prior", "current"))
    opposite = {
        ChangeStatus.NEW: ChangeStatus.RESOLVED, ChangeStatus.RESOLVED: ChangeStatus.NEW,
        ChangeStatus.INCREASED: ChangeStatus.DECREASED, ChangeStatus.DECREASED: ChangeStatus.INCREASED,
        ChangeStatus.UNCHANGED: ChangeStatus.UNCHANGED,
    }  # fmt: skip
    expected = [(c.label, opposite[c.status]) for c in changes_in(forth.answer).value]
    assert expected
    assert [(c.label, c.status) for c in changes_in(back.answer).value] == expected


def test_one_of_two_images_is_asked_about_by_its_name() -> None:
    asked_of: Counter[str] = Counter()
    for seed in range(20):
        case = random_case(seed)
        assert case.prior is not None
        views = {"<img0>": case.current, "<img1>": case.prior}
        for asked in of_form(
            instructions_for(case, np.random.default_rng(seed)), Form.VQA, ("current", "prior")
        ):
            (name,) = [tag for tag in views if tag in asked.question]
            asked_of[name] += 1
            for said in statements_in(asked.answer):
                seen = any(f.label == said.label for f in visible_findings(views[name]))
                assert seen == (said.presence is Presence.PRESENT)
    assert min(asked_of.values()) > 20


def test_every_change_that_is_told_has_its_extents() -> None:
    for seed in range(20):
        for asked in instructions_for(random_case(seed), np.random.default_rng(seed)):
            told = asked.answer.count(".") if changes_in(asked.answer).value else 0
            if asked.task is Task.COMPARISON:
                assert len(asked.extents) == told


def test_the_same_image_twice_never_changes() -> None:
    for seed in range(30):
        instructions = instructions_for(random_case(seed), np.random.default_rng(0))
        (same,) = of_form(instructions, Form.DIFFERENCE, ("current", "current"))
        assert {c.status for c in changes_in(same.answer).value} <= {ChangeStatus.UNCHANGED}


def test_what_nobody_can_see_is_not_told() -> None:
    hidden = FindingTruth(NODULE, Laterality.LEFT, "upper", 0.1, (0, 0, 0.1, 0.1), visibility=0.9)
    view = ChestView(BLANK, {}, {}, (hidden,), (1, 1), "PA")
    case = ChestCase(1, view, None, 0, ())
    answers = [i for i in instructions_for(case, np.random.default_rng(0)) if i.task is not Task.SEGMENTATION]
    assert "The lungs are clear." in answers[1].answer
    # Neither yes nor no is asked of what is there but cannot be seen.
    assert not [i for i in answers if i.form is Form.BINARY and i.subjects == (NODULE,)]


def test_hidden_before_and_visible_now_is_new() -> None:
    place = (EFFUSION, Laterality.LEFT, None)
    small = FindingTruth(*place, 0.1, (0, 0, 0.1, 0.1), visibility=0.5)
    large = FindingTruth(*place, 0.5, (0, 0, 0.2, 0.2), visibility=3)
    before, now = (ChestView(BLANK, {}, {}, (f,), (1, 1), "PA") for f in (small, large))
    case = ChestCase(1, now, before, 9, (ChangeTruth(*place, ChangeStatus.INCREASED),))
    assert [c.status for c in visible_changes(case)] == [ChangeStatus.NEW]


def test_gate_question_comes_first() -> None:
    first = instructions_for(random_case(1), np.random.default_rng(0))[0]
    assert is_frontal_chest(first.answer)
    foreign = instructions_for(ForeignCase(1, BLANK, "limb"), np.random.default_rng(0))
    assert not any(is_frontal_chest(i.answer) for i in foreign)


def test_chest_without_prior_is_not_compared() -> None:
    case = random_case(2)
    alone = ChestCase(2, case.current, None, 0, ())
    assert {i.images for i in instructions_for(alone, np.random.default_rng(0))} == {("current",)}


def test_organs_outside_the_slab_are_absent() -> None:
    case = AbdomenCase(1, np.zeros((2, 4, 4), np.float32), np.eye(4), {"liver": np.ones((2, 4, 4), np.bool_)})
    instructions = instructions_for(case, np.random.default_rng(0))
    assert [i.mask for i in instructions] == ["liver", None, None, None]
    for organ, one in zip(ABDOMINAL_ORGANS, instructions, strict=True):
        parsed = has_segment(one.answer, organ, "<3DSEG>")
        assert (parsed.value, parsed.caveats) == (organ == "liver", ())


@pytest.mark.parametrize("diagnosis", SKIN_LESIONS)
def test_skin_lesion_is_named_verbatim(diagnosis: str) -> None:
    case = SkinCase(1, np.zeros((4, 4, 3), np.float32), MASK, diagnosis)
    named, segmented = instructions_for(case, np.random.default_rng(0))
    assert diagnosis_in(named.answer).value == diagnosis
    assert segmented.mask == "lesion"


def test_same_seed_same_instructions() -> None:
    first, second = (instructions_for(random_case(5), np.random.default_rng(9)) for _ in range(2))
    assert first == second


def test_yes_and_no_are_balanced() -> None:
    answers = [
        i.answer
        for seed in range(300)
        for i in instructions_for(random_case(seed), np.random.default_rng(seed))
        if i.form is Form.BINARY
    ]
    assert 0.4 < answers.count("Yes.") / len(answers) < 0.6


def test_vocabulary_stays_small() -> None:
    words = {
        word.strip(".,?")
        for seed in range(100)
        for i in instructions_for(random_case(seed), np.random.default_rng(seed))
        for word in i.answer.replace(",", " ").split()
    }
    assert len(words) < 100

"""The walk through one study with a family that answers by script: normal, malformed and abstaining."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from model.errors import AnswerError
from model.families.family import Generation
from model.protocol import GATE_WORDINGS, gate_questions
from model.questions import Question
from model.reader import Reader
from model.reading import (
    NO_PRIOR,
    ChangeStatus,
    Laterality,
    Modality,
    Presence,
    PriorImages,
    Task,
)
from model.volume import Orientation, PlanarImage, Volume
from tests.scripted_family import (
    ANATOMY,
    CHEST_TASKS,
    DIFFERENCE,
    FINDINGS,
    GATE,
    IMPRESSION,
    LABELS,
    PATHOLOGY,
    SCRIPT,
    SIDE,
    ScriptedFamily,
    chest,
    concludes_nothing,
    earlier,
    finding,
    image,
    organ,
    read,
    rectangle,
    segment,
    told,
    yes_no,
)


def test_a_chest_is_read_whole() -> None:
    reading = read(chest(earlier()))
    assert reading.abstention is None
    assert reading.caveats == ()
    assert reading.tasks_done == CHEST_TASKS
    assert reading.narrative is not None
    assert reading.narrative.impression == "Left pleural effusion."
    assert [box.label for box in reading.boxes] == ["left lung", "right lung", "heart"]
    assert [mask.label for mask in reading.masks] == ["left lung", "right lung", "heart"]
    assert [mask.laterality for mask in reading.masks] == [Laterality.LEFT, Laterality.RIGHT, None]


def test_finding_carries_certainty_side_words_and_box() -> None:
    effusion = finding(read(chest()), "pleural effusion")
    assert effusion.presence is Presence.PRESENT
    assert effusion.certainty == 0.9
    assert effusion.laterality is Laterality.LEFT
    assert effusion.evidence == "There is a moderate left pleural effusion."
    (box,) = effusion.boxes
    assert (box.low, box.high, box.laterality) == ((70, 80), (90, 110), Laterality.LEFT)


def test_absent_finding_carries_the_probability_of_its_absence() -> None:
    nodule = finding(read(chest()), "lung nodule")
    assert (nodule.presence, nodule.certainty) == (Presence.ABSENT, 0.95)
    assert nodule.evidence == "The lungs are clear."


def test_probability_near_a_half_determines_nothing() -> None:
    heart = finding(read(chest()), "enlarged cardiac silhouette")
    assert (heart.presence, heart.certainty) == (Presence.UNDETERMINED, None)


def test_one_call_for_all_gates_and_one_for_everything_else() -> None:
    family = ScriptedFamily()
    Reader(family).read(chest(earlier()))
    assert family.calls == [2 * GATE_WORDINGS, 14]


def test_same_request_same_reading() -> None:
    first, second = read(chest(earlier())), read(chest(earlier()))
    assert first.findings == second.findings
    assert first.answers == second.answers
    assert first.comparisons == second.comparisons


def test_every_answer_is_kept_for_audit() -> None:
    reading = read(chest(earlier()))
    assert reading.answers[0].request == GATE
    assert len(reading.answers) == 2 * GATE_WORDINGS + 14


def test_comparison_is_coded() -> None:
    reading = read(chest(earlier()))
    (comparison,) = reading.comparisons
    (change,) = comparison.changes
    assert (change.label, change.status, change.laterality) == (
        "pleural effusion",
        ChangeStatus.INCREASED,
        Laterality.LEFT,
    )


def test_each_prior_is_compared_by_itself() -> None:
    reading = read(chest(earlier(30), earlier(400, "1.2.9")))
    assert [comparison.prior for comparison in reading.comparisons] == [0, 1]


def test_no_change_is_a_statement_about_the_chest() -> None:
    quiet = {DIFFERENCE: Generation("No significant change.", 0)}
    (comparison,) = read(chest(earlier()), quiet).comparisons
    assert [(c.label, c.status) for c in comparison.changes] == [("chest", ChangeStatus.UNCHANGED)]


def test_no_prior_is_told() -> None:
    reading = read(chest())
    assert reading.caveats == (NO_PRIOR,)
    assert Task.COMPARISON not in reading.tasks_done


@pytest.mark.parametrize("days", [None, -1])
def test_unknown_order_in_time_is_not_compared(days: int | None) -> None:
    reading = read(chest(earlier(days)))
    assert reading.comparisons == ()
    assert told(reading, "order of the studies in time is not known")


def test_the_same_image_as_prior_is_not_compared() -> None:
    same = PriorImages((image("1.2.7"),), 10)
    reading = read(chest(same))
    assert reading.comparisons == ()
    assert told(reading, "same image")


def test_prior_that_is_no_chest_costs_a_caveat_only() -> None:
    family = ScriptedFamily()
    family.gates = [
        Generation("A frontal chest radiograph.", 0),
        Generation("Not a frontal chest radiograph.", 0),
    ]
    reading = Reader(family).read(chest(earlier()))
    assert reading.comparisons == ()
    assert reading.findings
    assert told(reading, "No comparison with prior 1: The image does not look like a frontal chest")


def test_unreadable_comparison_is_told() -> None:
    reading = read(chest(earlier()), {DIFFERENCE: Generation("The dragon has", 0, complete=False)})
    assert reading.comparisons == ()
    assert told(reading, "could not be read")


@pytest.mark.parametrize(
    ("sentence", "label"),
    [
        ("The left pneumothorax is new.", "pneumothorax"),
        ("The left pleural effusion has resolved.", "pleural effusion"),
        ("The right pleural effusion is unchanged.", "pleural effusion"),
    ],
)
def test_comparison_that_contradicts_the_current_study_is_told(sentence: str, label: str) -> None:
    reading = read(chest(earlier()), {DIFFERENCE: Generation(sentence, 0)})
    assert told(reading, f"disagree on {label}")


def test_effusion_gone_from_the_other_side_contradicts_nothing() -> None:
    reading = read(chest(earlier()), {DIFFERENCE: Generation("The right pleural effusion has resolved.", 0)})
    assert reading.caveats == ()


class BrokenFamily(ScriptedFamily):
    """Has no room for two images."""

    def reply(self, images: Sequence[PlanarImage | Volume], question: Question) -> Generation:
        if len(images) > 1:
            raise AnswerError("too many images")
        return super().reply(images, question)


def test_comparison_that_does_not_fit_costs_a_caveat_only() -> None:
    reading = Reader(BrokenFamily()).read(chest(earlier()))
    assert reading.findings
    assert told(reading, "too many images")


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [(np.zeros((SIDE, SIDE), np.float32), "blank"), (np.zeros((9, 9), np.float32), "too small")],
)
def test_empty_image_is_declined_before_the_model_is_asked(pixels: NDArray[np.float32], reason: str) -> None:
    family = ScriptedFamily()
    reading = Reader(family).read(chest(image_=replace(image(), pixels=pixels)))
    assert reason in (reading.abstention or "")
    assert family.calls == []


def test_foreign_image_is_declined_by_the_gate_question() -> None:
    reading = read(chest(earlier()), {GATE: Generation("Not a frontal chest radiograph.", 0)})
    assert reading.abstention == "The image does not look like a frontal chest radiograph."
    assert concludes_nothing(reading)
    assert {answer.request for answer in reading.answers} == {
        question.text for question in gate_questions(Modality.CXR, ScriptedFamily.vocabulary)
    }


def test_implausible_lungs_decline_the_study() -> None:
    swapped = {
        segment("left lung"): organ("left lung", 20, 15, 90, 55),
        segment("right lung"): organ("right lung", 20, 75, 90, 110),
    }
    reading = read(chest(), swapped)
    assert reading.abstention == "The lungs are on the wrong sides of the image."
    assert concludes_nothing(reading)


@pytest.mark.parametrize(("swapped", "is_read"), [(False, True), (True, False)])
def test_doubtful_image_is_read_only_if_its_lungs_are_where_lungs_are(swapped: bool, is_read: bool) -> None:
    sides = ("right lung", "left lung") if swapped else ("left lung", "right lung")
    script = {
        GATE: Generation("Not a frontal chest radiograph.", 0, certainty=0.6),
        segment(sides[0]): organ(sides[0], 20, 75, 90, 110),
        segment(sides[1]): organ(sides[1], 20, 15, 90, 55),
    }
    reading = read(replace(chest(), tasks=(Task.CLASSIFICATION,)), script)
    assert (reading.abstention is None) is is_read
    assert bool(reading.findings) is is_read
    assert told(reading, "not sure that this is a frontal chest") is is_read


def test_doubtful_prior_whose_lungs_are_misplaced_costs_a_caveat_only() -> None:
    family = ScriptedFamily({segment("left lung"): organ("left lung", 20, 15, 90, 55)})
    family.gates = [
        Generation("A frontal chest radiograph.", 0),
        Generation("Not a frontal chest radiograph.", 0, certainty=0.6),
    ]
    reading = Reader(family).read(replace(chest(earlier()), tasks=(Task.CLASSIFICATION, Task.COMPARISON)))
    assert reading.comparisons == ()
    assert reading.findings
    assert any("No comparison with prior 1" in caveat for caveat in reading.caveats)


def test_heart_on_the_right_is_told() -> None:
    reading = read(chest(), {segment("heart"): organ("heart", 50, 30, 90, 70)})
    assert told(reading, "mirrored")


def test_M08_report_that_compares_without_sight_of_a_prior_loses_that_sentence() -> None:
    report = Generation("The lungs are clear. The left pleural effusion is unchanged.", 0)
    reading = read(chest(), {FINDINGS: report})
    assert reading.narrative is not None
    assert reading.narrative.findings == "The lungs are clear."
    assert told(reading, "compares without a prior")


def test_M07_text_and_box_on_opposite_sides_withhold_the_side() -> None:
    report = SCRIPT[FINDINGS].text.replace("left", "right")
    reading = read(
        chest(), {FINDINGS: Generation(report, 0), IMPRESSION: Generation("Right pleural effusion.", 0)}
    )
    effusion = finding(reading, "pleural effusion")
    assert (effusion.laterality, effusion.boxes) == (None, ())
    assert told(reading, "opposite sides")


def test_classification_that_stands_alone_is_undetermined() -> None:
    reading = read(chest(), {yes_no("pleural effusion"): Generation("No.", 0.1)})
    assert finding(reading, "pleural effusion").presence is Presence.UNDETERMINED
    assert told(reading, "The report text and the conclusion on pleural effusion disagree.")
    assert told(reading, "The boxes and the conclusion on pleural effusion disagree.")


def test_one_disagreement_is_told_and_the_classification_stands() -> None:
    reading = read(
        chest(), {yes_no("pneumothorax"): Generation("Yes.", 0.8), LABELS: Generation("dragon", 0)}
    )
    # Text and boxes both deny it.
    assert finding(reading, "pneumothorax").presence is Presence.UNDETERMINED
    lone = read(chest(), {LABELS: Generation("pleural effusion,lung nodule", 0)})
    assert finding(lone, "lung nodule").presence is Presence.ABSENT
    assert told(lone, "The list of labels and the conclusion on lung nodule disagree.")


def test_yes_no_answer_that_is_neither_is_told() -> None:
    reading = read(chest(), {yes_no("pleural effusion"): Generation("Perhaps.", 0.9)})
    assert told(reading, "The yes/no answer on pleural effusion could not be read.")
    assert finding(reading, "pleural effusion").certainty is None


def test_both_sides_are_two_findings() -> None:
    report = Generation("There is a small right pleural effusion. There is a large left pleural effusion.", 0)
    boxes = Generation(
        SCRIPT[PATHOLOGY].text.replace("<DET>", "<DET>,<DET>"), 0, boxes=((70, 80, 90, 110), (70, 10, 90, 40))
    )
    reading = read(chest(), {FINDINGS: report, PATHOLOGY: boxes})
    sides = {f.laterality: f for f in reading.findings if f.label == "pleural effusion"}
    assert sides[Laterality.LEFT].boxes[0].low == (70, 80)
    assert sides[Laterality.RIGHT].boxes[0].low == (70, 10)
    assert sides[Laterality.RIGHT].evidence == "There is a small right pleural effusion."


@pytest.mark.parametrize(
    ("boxes", "caveat"),
    [
        ((), "more or fewer boxes than tags"),
        (((0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0)), "more or fewer boxes than tags"),
        (((70.0, 80.0, 70.0, 110.0),), "empty or outside"),
        (((300.0, 300.0, 400.0, 400.0),), "empty or outside"),
        (((float("nan"), 0.0, 1.0, 1.0),), "empty or outside"),
    ],
)
def test_box_that_cannot_be_is_left_out(
    boxes: tuple[tuple[float, float, float, float], ...], caveat: str
) -> None:
    reading = read(chest(), {PATHOLOGY: replace(SCRIPT[PATHOLOGY], boxes=boxes)})
    assert finding(reading, "pleural effusion").boxes == ()
    assert told(reading, caveat)


def test_lung_box_on_the_other_side_is_left_out() -> None:
    left, right, heart = SCRIPT[ANATOMY].boxes
    reading = read(chest(), {ANATOMY: replace(SCRIPT[ANATOMY], boxes=(right, left, heart))})
    assert [box.label for box in reading.boxes] == ["heart"]
    assert told(reading, "The box of left lung lies on the other side")


HEART = "The segmentation mask of heart is <2DSEG>."


@pytest.mark.parametrize(
    ("generation", "caveat"),
    [
        (Generation(HEART, 0), "does not fit"),
        (Generation(HEART, 0, masks=(np.zeros((1, 9, 9), np.float32),)), "does not fit"),
        (Generation(HEART, 0, masks=(rectangle(0, 0, 0, 0),)), "empty"),
        (Generation(HEART.replace("2D", "3D"), 0, masks=(rectangle(5, 5, 9, 9),)), "malformed"),
        (Generation("There is no heart in the image.", 0), "No heart was found."),
    ],
)
def test_mask_that_cannot_be_is_left_out(generation: Generation, caveat: str) -> None:
    reading = read(chest(), {segment("heart"): generation})
    assert [mask.label for mask in reading.masks] == ["left lung", "right lung"]
    assert told(reading, caveat)


def test_specks_beside_an_organ_are_dropped() -> None:
    speckled = rectangle(50, 50, 90, 80)
    speckled[0, 3, 3] = 0.99
    generation = replace(SCRIPT[segment("heart")], masks=(speckled,))
    heart = read(chest(), {segment("heart"): generation}).masks[2]
    assert heart.voxels.sum() == 40 * 30


def test_results_on_a_mirrored_image_return_to_its_stored_pixels() -> None:
    mirrored = image(orientation=Orientation(columns_flipped=True))
    reading = read(chest(image_=mirrored))
    left = reading.masks[0]
    # Hung, the left lung covers columns 75 to 110; stored, 128 - 110 to 128 - 75.
    assert np.flatnonzero(left.voxels[0].any(axis=0)).tolist() == list(range(18, 53))
    assert (reading.boxes[0].low, reading.boxes[0].high) == ((20, 18), (90, 53))
    assert reading.boxes[0].laterality is Laterality.LEFT
    assert finding(reading, "pleural effusion").boxes[0].laterality is Laterality.LEFT


def test_nothing_of_the_pieces_of_any_answer_makes_the_reader_fall() -> None:
    rng = np.random.default_rng(11)
    pieces = [
        "<DET>",
        "<N/A>",
        "<2DSEG>",
        "<3DSEG>",
        ",",
        ".",
        " ",
        "no ",
        "left ",
        "right ",
        "new ",
        "Yes",
        "###",
    ]
    pieces += ["pleural effusion", "The ", "lung nodule", "is unchanged", "There is ", "<", "heart", "\x00"]
    for _ in range(100):
        script = {
            question: Generation("".join(rng.choice(pieces, rng.integers(0, 12))), float(rng.random()))
            for question in SCRIPT
            if question != GATE and "Segment" not in question
        }
        reading = read(chest(earlier()), script)
        assert reading.abstention is None
        assert not reading.boxes
        assert all("<" not in change.evidence for c in reading.comparisons for change in c.changes)

"""The walk with weights that know the released names, were never taught the gate, and write free English."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pytest

from model.families.family import Generation, Sight
from model.questions import Form, Question
from model.reader import Reader
from model.reading import (
    ClinicalContext,
    Conditions,
    Laterality,
    Modality,
    ModelIdentity,
    Presence,
    PriorImages,
    Reading,
    ReadingRequest,
    Task,
)
from model.vocabulary import RELEASED, ContextForm, Vocabulary
from model.volume import FrameKey, PlanarImage, Volume
from tests.fakes import PLACES, FakeSight
from worker.request import PROTOCOLS

SIDE = 128
FINDINGS = (
    "There is a moderate left pleural effusion with adjacent atelectasis. "
    "No pneumothorax. Heart size is normal."
)
IMPRESSION = "Left pleural effusion."
PRESENT = {"pleural effusion", "atelectasis"}


@dataclass(slots=True)
class ReleasedFamily:
    """Answers by the form of a question, as the released weights would of a left effusion."""

    identity: ClassVar[ModelIdentity] = ModelIdentity("medversa", "fake", "1", "0" * 64, demo_weights=False)
    conditions: ClassVar[Conditions] = Conditions("cuda", "bfloat16")
    vocabulary: Vocabulary = RELEASED
    findings: Generation = field(default_factory=lambda: Generation(FINDINGS, 0))
    has_lungs: bool = True
    asked: list[Question] = field(default_factory=list[Question])

    def look(self, modality: Modality, images: Sequence[PlanarImage | Volume]) -> Sight:
        return FakeSight(tuple(images), lambda _, question: self._answer(question))

    def _answer(self, question: Question) -> Generation:
        self.asked.append(question)
        match question.form:
            case Form.FINDINGS:
                return self.findings
            case Form.IMPRESSION:
                return Generation(IMPRESSION, 0)
            case Form.REPORT:
                return Generation(f"Findings: {FINDINGS} Impression: {IMPRESSION}", 0)
            case Form.LABELS:
                return Generation("pleural effusion, atelectasis", 0)
            case Form.BINARY:
                seen = question.subjects[0] in PRESENT
                return Generation("Yes." if seen else "No.", 0.9 if seen else 0.1)
            case Form.DETECTION:
                text = "".join(f"{n},{'<DET>' if n in PRESENT else '<N/A>'}." for n in question.subjects)
                boxes = ((80.0, 80.0, 95.0, 110.0),) * text.count("<DET>")
                return Generation(text, 0, boxes=boxes)
            case Form.SEGMENTATION:
                return self._segment(question.subjects[0])
            case _:
                return Generation("the main image has an additional finding of pleural effusion.", 0)

    def _segment(self, name: str) -> Generation:
        if not self.has_lungs:
            return Generation(f"There is no {name} in the image.", 0)
        mask = np.zeros((1, SIDE, SIDE), np.float32)
        j0, i0, j1, i1 = (int(edge * SIDE) for edge in PLACES[name])
        mask[:, j0:j1, i0:i1] = 1
        return Generation(f"The segmentation mask of {name} is <2DSEG>.", 0, masks=(mask,))


def image(uid: str, shade: float = 1.0) -> PlanarImage:
    return PlanarImage(
        (np.tile(np.linspace(0, 1, SIDE), (SIDE, 1)) * shade).astype(np.float32), FrameKey(uid)
    )


REQUEST = ReadingRequest(
    Modality.CXR,
    (image("1.1"),),
    PROTOCOLS[Modality.CXR],
    (PriorImages((image("1.0", 0.9),), 30),),
    seed=7,
)


def read(request: ReadingRequest = REQUEST, family: ReleasedFamily | None = None) -> Reading:
    return Reader(family or ReleasedFamily()).read(request)


def test_every_released_pathology_is_concluded_on() -> None:
    reading = read()
    assert reading.abstention is None
    assert {f.label for f in reading.findings if f.presence is Presence.PRESENT} == PRESENT
    absent = {f.label for f in reading.findings if f.presence is Presence.ABSENT}
    assert absent == set(RELEASED.chest_findings) - PRESENT
    assert reading.disagreements == ()


def test_side_size_words_and_box_are_the_findings_own() -> None:
    (effusion,) = [f for f in read().findings if f.label == "pleural effusion"]
    assert (effusion.laterality, effusion.severity, effusion.certainty) == (Laterality.LEFT, "moderate", 0.9)
    assert effusion.evidence == "There is a moderate left pleural effusion with adjacent atelectasis."
    assert [box.low for box in effusion.boxes] == [(80, 80)]


def test_reading_carries_its_conditions_and_seed() -> None:
    reading = read()
    assert (reading.conditions, reading.seed) == (Conditions("cuda", "bfloat16"), 7)


def test_text_against_the_answer_is_recorded() -> None:
    denied = Generation("No pleural effusion. Left basilar atelectasis.", 0)
    (recorded,) = read(family=ReleasedFamily(findings=denied)).disagreements
    assert recorded.label == "pleural effusion"
    assert ("report text", Presence.ABSENT) in recorded.said
    assert ("yes/no answer", Presence.PRESENT) in recorded.said


def test_whole_report_is_read_as_its_two_parts() -> None:
    whole = read(replace(REQUEST, whole_report=True))
    assert whole.narrative == read().narrative
    assert whole.findings == read().findings


@pytest.mark.parametrize("tasks", [(Task.REPORT,), (Task.REPORT, Task.SEGMENTATION)])
def test_without_a_gate_question_lungs_must_be_found(tasks: tuple[Task, ...]) -> None:
    reading = read(replace(REQUEST, tasks=tasks), ReleasedFamily(has_lungs=False))
    assert reading.abstention == "The right lung was not found."
    assert (reading.findings, reading.narrative) == ((), None)


def test_prior_is_looked_at_for_lungs_too() -> None:
    family = ReleasedFamily()
    assert read(family=family).comparisons
    gates = [q.subjects for q in family.asked if q.form is Form.SEGMENTATION and q.images == (1,)]
    assert gates == [("left lung",), ("right lung",)]


@pytest.mark.parametrize(("probability", "told"), [(0.1, True), (0.9, False)])
def test_text_that_the_model_was_not_sure_of_is_told(probability: float, told: bool) -> None:
    findings = Generation(FINDINGS, 0, token_probabilities=(probability,) * 20)
    reading = read(family=ReleasedFamily(findings=findings))
    assert ("The model was not sure of its words: report." in reading.caveats) is told
    assert any(answer.token_probabilities for answer in reading.answers)


def test_preface_is_kept_with_the_question_for_audit() -> None:
    known = replace(REQUEST, context=ClinicalContext(sex="F"))
    family = ReleasedFamily(vocabulary=replace(RELEASED, context_form=ContextForm.PREFACE))
    reading = read(known, family)
    assert all(a.request.startswith("Gender:F.\n") for a in reading.answers if a.task is Task.REPORT)

"""What is known of one study while its answers come in: each kind of answer adds to it, or to the caveats."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.answers import detections_in, diagnosis_in, has_segment, labels_in, yes_or_no
from model.boxes import bounding_box, expected_side
from model.families.family import Generation, Sight
from model.merging import Evidence
from model.questions import Form, Question
from model.reading import (
    Answer,
    BoundingBox,
    Change,
    ChangeStatus,
    Comparison,
    Finding,
    Mask,
    Modality,
    Narrative,
    Presence,
    ReadingRequest,
    Task,
)
from model.report_language.changes import changes_in
from model.report_language.cleaning import clean_report, report_parts
from model.report_language.statements import Statement, statements_in
from model.segments import mask_voxels, volume_ml
from model.vocabulary import Vocabulary, display_name
from model.volume import PlanarImage, Volume

UNSURE_WORDING = 0.3
"""Geometric mean of the token probabilities of a free text below which its reader is told. A language model
that knows what it writes is far above; below, most words had a likelier rival."""

_CUT = "An answer was cut at the length limit."
_FREE_TEXT = frozenset({Form.FINDINGS, Form.IMPRESSION, Form.REPORT, Form.DIAGNOSIS, Form.DIFFERENCE})


@dataclass(slots=True)
class Draft:
    """A study's answers so far."""

    request: ReadingRequest
    sight: Sight
    vocabulary: Vocabulary
    answers: list[Answer] = field(default_factory=list[Answer])
    caveats: list[str] = field(default_factory=list[str])
    done: dict[Task, None] = field(default_factory=dict[Task, None])
    report: dict[Form, str] = field(default_factory=dict[Form, str])
    evidence: Evidence = field(default_factory=Evidence)
    anatomy: list[BoundingBox] = field(default_factory=list[BoundingBox])
    segments: dict[str, NDArray[np.bool_]] = field(default_factory=dict[str, NDArray[np.bool_]])
    """(K, J, I) on the turned grid of the first image."""
    diagnosis: Finding | None = None
    comparisons: list[Comparison] = field(default_factory=list[Comparison])

    @property
    def image(self) -> PlanarImage | Volume:
        """The image that boxes and masks belong to."""
        return self.request.images[0]

    @property
    def masks(self) -> dict[str, NDArray[np.bool_]]:
        """(J, I) of every segment of a planar image, as it is hung."""
        return {label: voxels[0] for label, voxels in self.segments.items()}

    def ask(self, questions: Sequence[Question]) -> list[Generation]:
        """Put questions and keep what is answered for audit."""
        generations = self.sight.answer(questions)
        for question, generation in zip(questions, generations, strict=True):
            asked = f"{question.preface}\n{question.text}" if question.preface else question.text
            self.answers.append(Answer(question.task, asked, generation.text, generation.token_probabilities))
            if question.form in _FREE_TEXT and _is_unsure(generation.token_probabilities):
                self.caveats.append(f"The model was not sure of its words: {question.task}.")
        return generations


def take(draft: Draft, question: Question, generation: Generation) -> None:
    """Add the answer to a question about the current study."""
    draft.done[question.task] = None
    if not generation.complete and question.task is not Task.REPORT:
        draft.caveats.append(_CUT)
    _HANDLERS[question.form](draft, question, generation)


def take_comparison(draft: Draft, generation: Generation, number: int) -> None:
    """Add the comparison with the prior of that number."""
    parsed = changes_in(generation.text, _told_of(draft))
    draft.caveats += parsed.caveats
    changes = parsed.value
    if not changes and not parsed.caveats:
        changes = (Change("chest", ChangeStatus.UNCHANGED, evidence=generation.text.strip()),)
    if not generation.complete:
        draft.caveats.append(_CUT)
    if not changes:
        draft.caveats.append(f"No comparison with prior {number + 1}: the answer could not be read.")
        return
    text = " ".join(dict.fromkeys(change.evidence for change in changes))
    draft.comparisons.append(Comparison(number, changes, text))
    draft.done[Task.COMPARISON] = None


def narrative_of(draft: Draft, masks: Sequence[Mask]) -> Narrative | None:
    """The words to show; for a CT the volumes of its masks."""
    if draft.request.modality is Modality.CT:
        sizes = [
            f"{display_name(mask.label)} {volume:.0f} ml"
            for mask in masks
            if (volume := volume_ml(mask)) is not None
        ]
        return Narrative(f"Segmented volumes: {', '.join(sizes)}.", "") if sizes else None
    findings = draft.report.get(Form.FINDINGS, "")
    impression = draft.report.get(Form.IMPRESSION, draft.report.get(Form.DIAGNOSIS, ""))
    return Narrative(findings, impression) if findings or impression else None


def _told_of(draft: Draft) -> tuple[str, ...]:
    """What sentences may speak of."""
    return (*draft.vocabulary.chest_findings, *draft.vocabulary.told_only)


def _take_report(draft: Draft, question: Question, generation: Generation) -> None:
    _take_section(draft, question.form, generation.text, complete=generation.complete)


def _take_whole_report(draft: Draft, question: Question, generation: Generation) -> None:
    findings, impression = report_parts(generation.text)
    _take_section(draft, Form.FINDINGS, findings, complete=generation.complete or bool(impression))
    if impression:
        _take_section(draft, Form.IMPRESSION, impression, complete=generation.complete)


def _take_section(draft: Draft, form: Form, text: str, *, complete: bool) -> None:
    """Findings are evidence; an impression adds none, but must not contradict them."""
    parsed = clean_report(text, complete=complete)
    draft.caveats += parsed.caveats
    draft.report[form] = parsed.value
    statements: list[Statement] = statements_in(parsed.value, _told_of(draft))
    if form is Form.FINDINGS:
        draft.evidence.statements += statements
    else:
        draft.evidence.impression += statements


def _take_labels(draft: Draft, question: Question, generation: Generation) -> None:
    parsed = labels_in(generation.text, known=draft.vocabulary.chest_findings)
    draft.caveats += parsed.caveats
    draft.evidence.labels = parsed.value


def _take_yes_no(draft: Draft, question: Question, generation: Generation) -> None:
    (label,) = question.subjects
    answer = yes_or_no(generation.text)
    if answer is None or answer != (generation.yes_probability >= 0.5):
        draft.caveats.append(f"The yes/no answer on {display_name(label)} could not be read.")
        return
    draft.evidence.probabilities[label] = generation.yes_probability


def _take_diagnosis(draft: Draft, question: Question, generation: Generation) -> None:
    cleaned = clean_report(generation.text, complete=generation.complete)
    parsed = diagnosis_in(cleaned.value, draft.vocabulary.skin_lesions)
    draft.caveats += (*cleaned.caveats, *parsed.caveats)
    if parsed.value is not None:
        draft.diagnosis = Finding(parsed.value, Presence.PRESENT, evidence=cleaned.value)
        draft.report[Form.DIAGNOSIS] = cleaned.value


def _take_boxes(draft: Draft, question: Question, generation: Generation) -> None:
    if not isinstance(draft.image, PlanarImage):
        draft.caveats.append("Boxes on a volume were left out.")
        return
    if generation.text.count("<DET>") != len(generation.boxes):
        draft.caveats.append("A detection answer has more or fewer boxes than tags and was left out.")
        return
    parsed = detections_in(generation.text, question.subjects)
    draft.caveats += parsed.caveats
    for detected in parsed.value:
        boxes: list[BoundingBox] = []
        for tag in detected.tags:
            box = bounding_box(detected.name, generation.boxes[tag], draft.image)
            if box is None:
                draft.caveats.append(
                    f"A box of {display_name(detected.name)} is empty or outside the image and was left out."
                )
            elif expected_side(detected.name) not in (None, box.laterality):
                draft.caveats.append(
                    f"The box of {display_name(detected.name)} lies on the other side and was left out."
                )
            else:
                boxes.append(box)
        if question.task is Task.ANATOMY_DETECTION:
            draft.anatomy += boxes
        elif boxes or not detected.tags:
            draft.evidence.boxes[detected.name] = boxes


def _take_segment(draft: Draft, question: Question, generation: Generation) -> None:
    (label,) = question.subjects
    tag = "<3DSEG>" if isinstance(draft.image, Volume) else "<2DSEG>"
    parsed = has_segment(generation.text, label, tag)
    draft.caveats += parsed.caveats
    if not parsed.value:
        if not parsed.caveats:
            draft.caveats.append(f"No {display_name(label)} was found.")
        return
    grid = draft.image.voxels.shape if isinstance(draft.image, Volume) else (1, *draft.image.pixels.shape[:2])
    if len(generation.masks) != 1 or generation.masks[0].shape != grid:
        draft.caveats.append(f"The mask of {display_name(label)} does not fit its image and was left out.")
        return
    voxels = mask_voxels(generation.masks[0], label)
    if not voxels.any():
        draft.caveats.append(f"The mask of {display_name(label)} is empty and was left out.")
        return
    draft.segments[label] = voxels
    if isinstance(draft.image, Volume) and (voxels[0].any() or voxels[-1].any()):
        draft.caveats.append(
            f"The {display_name(label)} may reach beyond the scanned slices; only the part "
            "inside was measured."
        )


def _is_unsure(probabilities: Sequence[float]) -> bool:
    """Whether the geometric mean is below `UNSURE_WORDING`; a text without probabilities tells nothing."""
    if not probabilities:
        return False
    return float(np.exp(np.mean(np.log(np.maximum(probabilities, 1e-12))))) < UNSURE_WORDING


_HANDLERS: Mapping[Form, Callable[[Draft, Question, Generation], None]] = {
    Form.FINDINGS: _take_report,
    Form.IMPRESSION: _take_report,
    Form.REPORT: _take_whole_report,
    Form.LABELS: _take_labels,
    Form.BINARY: _take_yes_no,
    Form.DIAGNOSIS: _take_diagnosis,
    Form.DETECTION: _take_boxes,
    Form.SEGMENTATION: _take_segment,
}

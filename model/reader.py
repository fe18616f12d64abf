"""Reads one study: puts every question of its protocol to a family and makes one Reading of the answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.answers import detections_in, diagnosis_in, has_segment, labels_in, yes_or_no
from model.boxes import bounding_box, expected_side
from model.errors import AbstentionError, AnswerError
from model.families.family import Family, Generation, Sight
from model.gates import check_gate_answer, check_lesion, check_lungs, check_pixels, heart_is_on_the_right
from model.merging import Evidence, check_changes, merge_findings
from model.protocol import gate_question, prior_images, questions_for
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
    PriorImages,
    Reading,
    ReadingRequest,
    Task,
)
from model.report_language.changes import changes_in
from model.report_language.cleaning import clean_report
from model.report_language.statements import statements_in
from model.segments import mask_on_source, mask_voxels, volume_ml
from model.vocabulary import display_name
from model.volume import PlanarImage, Volume

NO_PRIOR = "No prior was available to the software."

MIRRORED = "The heart lies to the right: if the image is mirrored, every side in this result is wrong."

_CUT = "An answer was cut at the length limit."


@dataclass(slots=True)
class _Draft:
    """What is known of a study while its answers come in."""

    request: ReadingRequest
    sight: Sight
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


class Reader:
    """Puts a study's protocol to one family; holds no state between studies."""

    def __init__(self, family: Family) -> None:
        self._family = family

    @property
    def reads_every_view(self) -> bool:
        """Whether a chest study is read with all its views."""
        return self._family.vocabulary.reads_every_view

    def read(self, request: ReadingRequest) -> Reading:
        """Read one study; the same request gives the same Reading for the same weights and device.

        What the model cannot judge comes back as a Reading with `abstention` and nothing else concluded.

        Raises:
            AnswerError: the questions do not fit the model's context.
        """
        images = (*request.images, *(image for prior in request.priors for image in prior.images))
        draft = _Draft(request, self._family.look(request.modality, images))
        try:
            check_pixels(request.modality, request.images)
            self._ask_gate(draft, 0)
            self._read_current(draft)
        except AbstentionError as exc:
            return Reading(
                request.modality,
                self._family.identity,
                (),
                answers=tuple(draft.answers),
                caveats=_once(draft.caveats),
                abstention=str(exc),
            )
        self._compare(draft)
        return self._conclude(draft)

    def _ask_gate(self, draft: _Draft, image: int) -> None:
        question = gate_question(draft.request.modality, self._family.vocabulary, image)
        if question is None:
            return
        (generation,) = draft.sight.answer([question])
        draft.answers.append(_answer(question, generation))
        if doubt := check_gate_answer(generation.text, generation.certainty):
            draft.caveats.append(doubt if image == 0 else f"Of a prior: {doubt}")

    def _read_current(self, draft: _Draft) -> None:
        request = draft.request
        questions = [q for q in questions_for(request, self._family.vocabulary) if q.prior is None]
        if not questions:
            return
        for question, generation in zip(questions, draft.sight.answer(questions), strict=True):
            draft.answers.append(_answer(question, generation))
            draft.done[question.task] = None
            if not generation.complete and question.task is not Task.REPORT:
                draft.caveats.append(_CUT)
            _HANDLERS[question.form](draft, question, generation)
        if Task.SEGMENTATION in request.tasks:
            _check_masks(draft)

    def _compare(self, draft: _Draft) -> None:
        request = draft.request
        if not request.priors:
            draft.caveats.append(NO_PRIOR)
            return
        questions = [q for q in questions_for(request, self._family.vocabulary) if q.prior is not None]
        if not questions and Task.COMPARISON in request.tasks:
            draft.caveats.append("This kind of study cannot be compared with a prior.")
        for question in questions:
            if question.prior is not None:
                self._compare_with(draft, question, request.priors[question.prior], question.prior)

    def _compare_with(self, draft: _Draft, question: Question, prior: PriorImages, number: int) -> None:
        """Compare with one prior; one that cannot be compared costs a caveat, never the reading."""
        request, which = draft.request, f"prior {number + 1}"
        if prior.days_before is None or prior.days_before < 0:
            draft.caveats.append(
                f"No comparison with {which}: the order of the studies in time is not known."
            )
            return
        if _same_pixels(request.images, prior.images):
            draft.caveats.append(f"No comparison with {which}: it holds the same image.")
            return
        try:
            check_pixels(request.modality, prior.images)
            self._ask_gate(draft, prior_images(request, number)[0])
            (generation,) = draft.sight.answer([question])
        except (AbstentionError, AnswerError) as exc:
            draft.caveats.append(f"No comparison with {which}: {exc}")
            return
        draft.answers.append(_answer(question, generation))
        _take_comparison(draft, generation, number)

    def _conclude(self, draft: _Draft) -> Reading:
        request = draft.request
        findings, doubts = merge_findings(draft.evidence)
        draft.caveats += doubts
        for comparison in draft.comparisons:
            draft.caveats += check_changes(comparison.changes, findings)
        if draft.diagnosis is not None:
            findings.append(draft.diagnosis)
        masks = tuple(mask_on_source(v, label, draft.image) for label, v in draft.segments.items())
        undone = [task for task in request.tasks if task not in draft.done]
        draft.caveats += [f"Not done: {task}." for task in undone if task is not Task.COMPARISON]
        return Reading(
            request.modality,
            self._family.identity,
            tuple(task for task in request.tasks if task in draft.done),
            _narrative(draft, masks),
            tuple(findings),
            tuple(draft.anatomy),
            masks,
            tuple(draft.comparisons),
            tuple(draft.answers),
            _once(draft.caveats),
        )


def _answer(question: Question, generation: Generation) -> Answer:
    return Answer(question.task, question.text, generation.text, generation.token_probabilities)


def _check_masks(draft: _Draft) -> None:
    """Decline a study whose masks show that it is not what it was read as."""
    masks = {label: voxels[0] for label, voxels in draft.segments.items()}
    if draft.request.modality is Modality.DERM:
        check_lesion(masks)
    if draft.request.modality is Modality.CXR:
        check_lungs(masks)
        if heart_is_on_the_right(masks):
            draft.caveats.append(MIRRORED)


def _take_report(draft: _Draft, question: Question, generation: Generation) -> None:
    parsed = clean_report(generation.text, complete=generation.complete)
    draft.caveats += parsed.caveats
    draft.report[question.form] = parsed.value
    if question.form is Form.FINDINGS:
        draft.evidence.statements += statements_in(parsed.value)
    elif Form.FINDINGS in draft.report:
        _check_impression(draft, parsed.value)


def _check_impression(draft: _Draft, impression: str) -> None:
    """The impression adds no finding of its own; it must not contradict the findings either."""
    concluded = {s.label for s in statements_in(impression) if s.presence is Presence.PRESENT}
    described = {s.label for s in draft.evidence.statements if s.presence is Presence.PRESENT}
    for label in sorted(concluded ^ described):
        draft.caveats.append(f"Findings and impression disagree on {label}.")


def _take_labels(draft: _Draft, question: Question, generation: Generation) -> None:
    parsed = labels_in(generation.text)
    draft.caveats += parsed.caveats
    draft.evidence.labels = parsed.value


def _take_yes_no(draft: _Draft, question: Question, generation: Generation) -> None:
    (label,) = question.subjects
    answer = yes_or_no(generation.text)
    if answer is None or answer != (generation.yes_probability >= 0.5):
        draft.caveats.append(f"The yes/no answer on {label} could not be read.")
        return
    draft.evidence.probabilities[label] = generation.yes_probability


def _take_diagnosis(draft: _Draft, question: Question, generation: Generation) -> None:
    cleaned = clean_report(generation.text, complete=generation.complete)
    parsed = diagnosis_in(cleaned.value)
    draft.caveats += (*cleaned.caveats, *parsed.caveats)
    if parsed.value is not None:
        draft.diagnosis = Finding(parsed.value, Presence.PRESENT, evidence=cleaned.value)
        draft.report[Form.DIAGNOSIS] = cleaned.value


def _take_boxes(draft: _Draft, question: Question, generation: Generation) -> None:
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
                    f"A box of {detected.name} is empty or outside the image and was left out."
                )
            elif expected_side(detected.name) not in (None, box.laterality):
                draft.caveats.append(f"The box of {detected.name} lies on the other side and was left out.")
            else:
                boxes.append(box)
        if question.task is Task.ANATOMY_DETECTION:
            draft.anatomy += boxes
        elif boxes or not detected.tags:
            draft.evidence.boxes[detected.name] = boxes


def _take_segment(draft: _Draft, question: Question, generation: Generation) -> None:
    (label,) = question.subjects
    tag = "<3DSEG>" if isinstance(draft.image, Volume) else "<2DSEG>"
    parsed = has_segment(generation.text, label, tag)
    draft.caveats += parsed.caveats
    if not parsed.value:
        if not parsed.caveats:
            draft.caveats.append(f"No {label} was found.")
        return
    grid = draft.image.voxels.shape if isinstance(draft.image, Volume) else (1, *draft.image.pixels.shape[:2])
    if len(generation.masks) != 1 or generation.masks[0].shape != grid:
        draft.caveats.append(f"The mask of {label} does not fit its image and was left out.")
        return
    voxels = mask_voxels(generation.masks[0], label)
    if not voxels.any():
        draft.caveats.append(f"The mask of {label} is empty and was left out.")
        return
    draft.segments[label] = voxels
    if isinstance(draft.image, Volume) and (voxels[0].any() or voxels[-1].any()):
        draft.caveats.append(
            f"The {label} may reach beyond the scanned slices; only the part inside was measured."
        )


def _take_comparison(draft: _Draft, generation: Generation, number: int) -> None:
    parsed = changes_in(generation.text)
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


_HANDLERS: Mapping[Form, Callable[[_Draft, Question, Generation], None]] = {
    Form.FINDINGS: _take_report,
    Form.IMPRESSION: _take_report,
    Form.LABELS: _take_labels,
    Form.BINARY: _take_yes_no,
    Form.DIAGNOSIS: _take_diagnosis,
    Form.DETECTION: _take_boxes,
    Form.SEGMENTATION: _take_segment,
}


def _narrative(draft: _Draft, masks: Sequence[Mask]) -> Narrative | None:
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


def _same_pixels(current: Sequence[PlanarImage | Volume], prior: Sequence[PlanarImage | Volume]) -> bool:
    now, before = (
        [image.pixels for image in images if isinstance(image, PlanarImage)] for images in (current, prior)
    )
    return bool(now) and len(now) == len(before) and all(map(np.array_equal, now, before))


def _once(caveats: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(caveats))

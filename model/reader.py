"""Reads one study: puts every question of its protocol to a family and makes one Reading of the answers."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.answers import has_segment
from model.consistency import believable_boxes, check_heart
from model.draft import Draft, narrative_of, take, take_comparison
from model.errors import AbstentionError, AnswerError
from model.families.family import Family, Generation
from model.gates import check_gate_answers, check_lesion, check_lungs, check_pixels, heart_is_on_the_right
from model.merging import check_changes, merge_findings
from model.protocol import gate_questions, lung_questions, prior_images, questions_for
from model.questions import Form, Question
from model.reading import NO_PRIOR, Modality, ModelIdentity, Reading, ReadingRequest, Task
from model.segments import mask_on_source, mask_voxels
from model.volume import PlanarImage, Volume

MIRRORED = "The heart lies to the right: if the image is mirrored, every side in this result is wrong."


class Reader:
    """Puts a study's protocol to one family; holds no state between studies."""

    def __init__(self, family: Family) -> None:
        self._family = family

    @property
    def identity(self) -> ModelIdentity:
        """Which model reads."""
        return self._family.identity

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
        sight = self._family.look(request.modality, images)
        draft = Draft(request, sight, self._family.vocabulary)
        try:
            check_pixels(request.modality, request.images)
            comparable = _pass_gates(draft, _comparable(draft))
            _read(draft, comparable)
        except AbstentionError as exc:
            return self._reading(draft, abstention=str(exc))
        return self._conclude(draft)

    def _conclude(self, draft: Draft) -> Reading:
        request = draft.request
        _check_boxes(draft)
        merged = merge_findings(draft.evidence, draft.vocabulary)
        check_heart(merged, draft.masks)
        draft.caveats += merged.caveats
        findings = merged.findings
        for comparison in draft.comparisons:
            draft.caveats += check_changes(comparison.changes, findings)
        if draft.diagnosis is not None:
            findings.append(draft.diagnosis)
        masks = tuple(mask_on_source(v, label, draft.image) for label, v in draft.segments.items())
        undone = [task for task in request.tasks if task not in draft.done]
        draft.caveats += [f"Not done: {task}." for task in undone if task is not Task.COMPARISON]
        return replace(
            self._reading(draft),
            tasks_done=tuple(task for task in request.tasks if task in draft.done),
            narrative=narrative_of(draft, masks),
            findings=tuple(findings),
            boxes=tuple(draft.anatomy),
            masks=masks,
            comparisons=tuple(draft.comparisons),
            disagreements=tuple(merged.disagreements.values()),
        )

    def _reading(self, draft: Draft, abstention: str | None = None) -> Reading:
        """What every Reading holds, whatever was concluded."""
        return Reading(
            draft.request.modality,
            self._family.identity,
            (),
            answers=tuple(draft.answers),
            caveats=tuple(dict.fromkeys(draft.caveats)),
            abstention=abstention,
            conditions=self._family.conditions,
            seed=draft.request.seed,
        )


def _comparable(draft: Draft) -> list[int]:
    """Priors that can be compared with, as far as dates and pixels tell; a caveat for every other one."""
    request = draft.request
    if not request.priors:
        draft.caveats.append(NO_PRIOR)
    elif request.modality is not Modality.CXR and Task.COMPARISON in request.tasks:
        draft.caveats.append("This kind of study cannot be compared with a prior.")
    if request.modality is not Modality.CXR or Task.COMPARISON not in request.tasks:
        return []
    fit: list[int] = []
    for number, prior in enumerate(request.priors):
        if prior.days_before is None or prior.days_before < 0:
            _leave_out(draft, number, "the order of the studies in time is not known.")
        elif _same_pixels(request.images, prior.images):
            _leave_out(draft, number, "it holds the same image.")
        else:
            try:
                check_pixels(request.modality, prior.images)
            except AbstentionError as exc:
                _leave_out(draft, number, str(exc))
            else:
                fit.append(number)
    return fit


def _leave_out(draft: Draft, number: int, why: str) -> None:
    """A prior that cannot be compared costs a caveat, never the reading."""
    draft.caveats.append(f"No comparison with prior {number + 1}: {why}")


def _pass_gates(draft: Draft, priors: Sequence[int]) -> list[int]:
    """Ask at once what the study's first image and that of each prior show; return the priors that pass.

    Raises:
        AbstentionError: the study's own image does not.
    """
    images = [0, *(prior_images(draft.request, number)[0] for number in priors)]
    asked = [_gate_questions(draft, image) for image in images]
    questions = [question for gate in asked for question in gate]
    answered = iter(draft.ask(questions) if questions else ())
    passed: list[int] = []
    for number, image, gate in zip([None, *priors], images, asked, strict=True):
        answers = [next(answered) for _ in gate]
        try:
            doubt = _judge_gate(gate, answers)
            if doubt and (number is not None or Task.SEGMENTATION not in draft.request.tasks):
                lungs = lung_questions(draft.vocabulary, image)
                _judge_gate(lungs, draft.ask(lungs))
        except AbstentionError as exc:
            if number is None:
                raise
            _leave_out(draft, number, str(exc))
            continue
        if doubt:
            draft.caveats.append(doubt if number is None else f"Of a prior: {doubt}")
        if number is not None:
            passed.append(number)
    return passed


def _gate_questions(draft: Draft, image: int) -> list[Question]:
    """What the image shows; weights that never learned to say so are asked for its lungs.

    Those of the study's first image are part of most protocols anyhow.
    """
    request = draft.request
    if gate := gate_questions(request.modality, draft.vocabulary, image):
        return gate
    if request.modality is not Modality.CXR or (image == 0 and Task.SEGMENTATION in request.tasks):
        return []
    return lung_questions(draft.vocabulary, image)


def _judge_gate(questions: Sequence[Question], answers: Sequence[Generation]) -> str | None:
    """Return a doubt about one image, if there is one.

    Raises:
        AbstentionError: it is none that the model reads.
    """
    if not questions:
        return None
    if questions[0].form is Form.GATE:
        return check_gate_answers(answers)
    lungs: dict[str, NDArray[np.bool_]] = {}
    for question, generation in zip(questions, answers, strict=True):
        (label,) = question.subjects
        if has_segment(generation.text, label, "<2DSEG>").value and len(generation.masks) == 1:
            lungs[label] = mask_voxels(generation.masks[0], label)[0]
    check_lungs(lungs)
    return None


def _read(draft: Draft, comparable: Sequence[int]) -> None:
    """Put all questions of the protocol, comparisons included, at once."""
    asked = questions_for(draft.request, draft.vocabulary)
    current = [question for question in asked if question.prior is None]
    comparisons = [question for question in asked if question.prior in comparable]
    for question, generation in _answers(draft, current, comparisons):
        if question.prior is None:
            take(draft, question, generation)
        else:
            take_comparison(draft, generation, question.prior)
    if Task.SEGMENTATION in draft.request.tasks and current:
        _check_masks(draft)


def _answers(
    draft: Draft, current: Sequence[Question], comparisons: Sequence[Question]
) -> list[tuple[Question, Generation]]:
    """Ask together; where that does not fit the model, each comparison alone, so that it costs only itself.

    Raises:
        AnswerError: the questions about the current study do not fit.
    """
    together = [*current, *comparisons]
    try:
        return list(zip(together, draft.ask(together) if together else (), strict=True))
    except AnswerError:
        if not comparisons:
            raise
    answered = list(zip(current, draft.ask(current) if current else (), strict=True))
    for question in comparisons:
        try:
            answered += zip([question], draft.ask([question]), strict=True)
        except AnswerError as exc:
            _leave_out(draft, question.prior or 0, str(exc))
    return answered


def _check_masks(draft: Draft) -> None:
    """Decline a study whose masks show that it is not what it was read as."""
    if draft.request.modality is Modality.DERM:
        check_lesion(draft.masks)
    if draft.request.modality is Modality.CXR:
        check_lungs(draft.masks)
        if heart_is_on_the_right(draft.masks):
            draft.caveats.append(MIRRORED)


def _check_boxes(draft: Draft) -> None:
    """Leave out boxes that the masks of the chest contradict; a label that loses all of them has no vote."""
    if not isinstance(draft.image, PlanarImage):
        return
    for label, boxes in list(draft.evidence.boxes.items()):
        kept, caveats = believable_boxes(label, boxes, draft.masks, draft.image)
        draft.caveats += caveats
        if kept or not boxes:
            draft.evidence.boxes[label] = kept
        else:
            del draft.evidence.boxes[label]


def _same_pixels(current: Sequence[PlanarImage | Volume], prior: Sequence[PlanarImage | Volume]) -> bool:
    now, before = (
        [image.pixels for image in images if isinstance(image, PlanarImage)] for images in (current, prior)
    )
    return bool(now) and len(now) == len(before) and all(map(np.array_equal, now, before))

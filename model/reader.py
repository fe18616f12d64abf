"""Reads one study: puts every question of its protocol to a family and makes one Reading of the answers."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.answers import has_segment
from model.consistency import believable_boxes, check_heart
from model.draft import Draft, narrative_of, take, take_comparison
from model.errors import AbstentionError, AnswerError
from model.families.family import Family
from model.gates import check_gate_answer, check_lesion, check_lungs, check_pixels, heart_is_on_the_right
from model.merging import check_changes, merge_findings
from model.protocol import gate_question, lung_questions, prior_images, questions_for
from model.questions import Question
from model.reading import Modality, PriorImages, Reading, ReadingRequest, Task
from model.segments import mask_on_source, mask_voxels
from model.volume import PlanarImage, Volume

NO_PRIOR = "No prior was available to the software."

MIRRORED = "The heart lies to the right: if the image is mirrored, every side in this result is wrong."


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
        sight = self._family.look(request.modality, images)
        draft = Draft(request, sight, self._family.vocabulary)
        try:
            check_pixels(request.modality, request.images)
            _ask_gate(draft, 0)
            _read_current(draft)
        except AbstentionError as exc:
            return self._reading(draft, abstention=str(exc))
        _compare(draft)
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


def _ask_gate(draft: Draft, image: int) -> None:
    """Ask what the image shows; weights that never learned to say so must find its lungs."""
    question = gate_question(draft.request.modality, draft.vocabulary, image)
    if question is None:
        _look_for_lungs(draft, image)
        return
    (generation,) = draft.ask([question])
    if doubt := check_gate_answer(generation.text, generation.certainty):
        draft.caveats.append(doubt if image == 0 else f"Of a prior: {doubt}")


def _look_for_lungs(draft: Draft, image: int) -> None:
    """Decline a radiograph without lungs; the protocol's own masks do so for the first image."""
    request = draft.request
    if request.modality is not Modality.CXR or (image == 0 and Task.SEGMENTATION in request.tasks):
        return
    questions = lung_questions(draft.vocabulary, image)
    lungs: dict[str, NDArray[np.bool_]] = {}
    for question, generation in zip(questions, draft.ask(questions), strict=True):
        (label,) = question.subjects
        if has_segment(generation.text, label, "<2DSEG>").value and len(generation.masks) == 1:
            lungs[label] = mask_voxels(generation.masks[0], label)[0]
    check_lungs(lungs)


def _read_current(draft: Draft) -> None:
    questions = [q for q in questions_for(draft.request, draft.vocabulary) if q.prior is None]
    if not questions:
        return
    for question, generation in zip(questions, draft.ask(questions), strict=True):
        take(draft, question, generation)
    if Task.SEGMENTATION in draft.request.tasks:
        _check_masks(draft)


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


def _compare(draft: Draft) -> None:
    request = draft.request
    if not request.priors:
        draft.caveats.append(NO_PRIOR)
        return
    questions = [q for q in questions_for(request, draft.vocabulary) if q.prior is not None]
    if not questions and Task.COMPARISON in request.tasks:
        draft.caveats.append("This kind of study cannot be compared with a prior.")
    for question in questions:
        if question.prior is not None:
            _compare_with(draft, question, request.priors[question.prior], question.prior)


def _compare_with(draft: Draft, question: Question, prior: PriorImages, number: int) -> None:
    """Compare with one prior; one that cannot be compared costs a caveat, never the reading."""
    request, which = draft.request, f"prior {number + 1}"
    if prior.days_before is None or prior.days_before < 0:
        draft.caveats.append(f"No comparison with {which}: the order of the studies in time is not known.")
        return
    if _same_pixels(request.images, prior.images):
        draft.caveats.append(f"No comparison with {which}: it holds the same image.")
        return
    try:
        check_pixels(request.modality, prior.images)
        _ask_gate(draft, prior_images(request, number)[0])
        (generation,) = draft.ask([question])
    except (AbstentionError, AnswerError) as exc:
        draft.caveats.append(f"No comparison with {which}: {exc}")
        return
    take_comparison(draft, generation, number)


def _same_pixels(current: Sequence[PlanarImage | Volume], prior: Sequence[PlanarImage | Volume]) -> bool:
    now, before = (
        [image.pixels for image in images if isinstance(image, PlanarImage)] for images in (current, prior)
    )
    return bool(now) and len(now) == len(before) and all(map(np.array_equal, now, before))

"""Marks an answer: takes from it what the reader of studies would, and holds that against the truth."""

import numpy as np
from numpy.typing import NDArray

from model.answers import detections_in, diagnosis_in, is_frontal_chest, labels_in
from model.evaluation.change import compared
from model.evaluation.detection import Box
from model.evaluation.marks import (
    BoxMark,
    ChangeMark,
    DiagnosisMark,
    LabelMark,
    LabelsMark,
    Mark,
    MaskMark,
    NamedBoxes,
    OpenMark,
    TextMark,
    ViewMark,
)
from model.evaluation.open_answers import is_closed, is_exact, is_right, token_recall
from model.evaluation.segmentation import dice, intersection_over_union, surface_distance
from model.evaluation.study import (
    Asked,
    BoxTruth,
    ChangeTruth,
    DiagnosisTruth,
    LabelsTruth,
    LabelTruth,
    MaskTruth,
    OpenTruth,
    ViewTruth,
)
from model.families.family import Generation
from model.segments import mask_voxels
from model.vocabulary import Vocabulary
from model.volume import PlanarImage, Volume


def mark(asked: Asked, answer: Generation, image: PlanarImage | Volume, known: Vocabulary) -> Mark:
    """Mark one answer; `image` is the first of its question, on which boxes and masks lie."""
    match asked.truth:
        case LabelTruth(label, present):
            return LabelMark(label, answer.yes_probability, present)
        case LabelsTruth(present, absent):
            told = labels_in(answer.text, known=known.chest_findings).value or frozenset()
            hits, wrong, missed = (
                tuple(sorted(part)) for part in (told & present, told & absent, present - told)
            )
            return LabelsMark(hits, wrong, missed)
        case ViewTruth(frontal_chest):
            return ViewMark(is_frontal_chest(answer.text), frontal_chest)
        case DiagnosisTruth(label):
            return DiagnosisMark(diagnosis_in(answer.text, known.skin_lesions).value, label)
        case BoxTruth() as truth:
            return _boxes(asked, truth, answer, image)
        case MaskTruth() as truth:
            return _mask(asked.question.subjects[0], truth, answer, image)
        case ChangeTruth(text):
            read = compared(answer.text, text, known.chest_findings)
            return ChangeMark(tuple(sorted(read.told)), tuple(sorted(read.true)), read.says_something)
        case OpenTruth(kind, true):
            told = answer.text
            return OpenMark(
                kind, is_closed(true), is_right(told, true), is_exact(told, true), token_recall(told, true)
            )
        case _:
            return TextMark()


def found_mask(answer: Generation, label: str, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The mask that an answer gives, as the reader keeps it; all false where it gives none."""
    if not answer.masks:
        return np.zeros(shape, np.bool_)
    return mask_voxels(answer.masks[0], label).reshape(shape)


def _boxes(asked: Asked, truth: BoxTruth, answer: Generation, image: PlanarImage | Volume) -> BoxMark:
    told = {one.name: one.tags for one in detections_in(answer.text, asked.question.subjects).value}
    shape = image.pixels.shape if isinstance(image, PlanarImage) else image.voxels.shape[1:]
    every = _fractions(answer, shape)
    names = [
        NamedBoxes(
            name,
            tuple(every[n] for n in told.get(name, ()) if n < len(every)),
            tuple(true),
        )
        for name, true in truth.boxes.items()
    ]
    return BoxMark(tuple(names))


def _fractions(answer: Generation, shape: tuple[int, ...]) -> list[Box]:
    rows, columns = shape[:2]
    return [(i0 / columns, j0 / rows, i1 / columns, j1 / rows) for j0, i0, j1, i1 in answer.boxes]


def _mask(label: str, truth: MaskTruth, answer: Generation, image: PlanarImage | Volume) -> MaskMark:
    true = truth.voxels()
    found = found_mask(answer, label, true.shape)
    distances: tuple[float | None, float | None] = (None, None)
    spacing = _spacing_mm(image)
    if spacing is not None and found.any() and true.any():
        measured = surface_distance(found, true, spacing)
        distances = measured.average, measured.hausdorff_95
    return MaskMark(
        label,
        bool(true.any()),
        bool(found.any()),
        dice(found, true),
        intersection_over_union(found, true),
        *distances,
    )


def _spacing_mm(image: PlanarImage | Volume) -> tuple[float, ...] | None:
    """Along the axes of the image as the model sees it."""
    if isinstance(image, Volume):
        return image.geometry.spacing_mm
    if image.spacing_mm is None or not image.orientation.transposed:
        return image.spacing_mm
    return image.spacing_mm[::-1]

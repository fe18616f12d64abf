"""Figures of where things are: boxes and masks."""

from collections.abc import Iterator, Sequence
from functools import partial

from model.evaluation.bootstrap import Counts, numbered
from model.evaluation.bootstrap import Values as Resampled
from model.evaluation.classification import mean_defined
from model.evaluation.detection import COCO_THRESHOLDS, Boxed, average_precision, matched_overlaps
from model.evaluation.figures import Figure, Told, figure, mean_figure
from model.evaluation.marks import BoxMark, LabelMark, MaskMark, NamedBoxes
from model.reading import Modality, Task

ORGANS = {Modality.CXR: "lungs and heart", Modality.CT: "organs on CT", Modality.DERM: "skin lesions"}
"""What is masked on each kind of image."""

_DETECTION = {Task.PATHOLOGY_DETECTION: "findings", Task.ANATOMY_DETECTION: "structures"}


def box_figures(told: Sequence[Told]) -> Iterator[Figure]:
    """Of each detection task: overlap of true boxes, whether to box at all, average precision."""
    for task, of in _DETECTION.items():
        boxes = [
            (one.study, named)
            for one in told
            if one.row.task is task and isinstance(one.mark, BoxMark)
            for named in one.mark.names
        ]
        if boxes:
            yield from _overlap_figures(task, of, boxes)
            yield from _decision_figures(task, of, boxes)
            yield from _precision_figures(task, of, boxes, _certainties(told))


def mask_figures(told: Sequence[Told]) -> Iterator[Figure]:
    """Dice, overlap and surface distance by kind of image and by structure, and needless masks."""
    for modality, of in ORGANS.items():
        marks = [
            (one.study, one.mark)
            for one in told
            if one.modality is modality and isinstance(one.mark, MaskMark)
        ]
        labels = dict.fromkeys(mark.label for _, mark in marks)
        yield from _masks(of, marks)
        if len(labels) > 1:
            for label in labels:
                yield from _masks(label, [(key, mark) for key, mark in marks if mark.label == label])


def _overlap_figures(task: Task, of: str, boxes: Sequence[tuple[str, NamedBoxes]]) -> Iterator[Figure]:
    names = dict.fromkeys(named.name for _, named in boxes)
    overlaps = [
        (key, named.name, value)
        for key, named in boxes
        for value in matched_overlaps(named.found, named.true)
    ]
    if overlaps:
        yield mean_figure(task, "mean IoU", of, [(key, value) for key, _, value in overlaps])
    for name in names:
        values = [(key, value) for key, mine, value in overlaps if mine == name]
        if values:
            yield mean_figure(task, "mean IoU", name, values)


def _decision_figures(task: Task, of: str, boxes: Sequence[tuple[str, NamedBoxes]]) -> Iterator[Figure]:
    right = [(key, float(bool(b.found) == bool(b.true)), bool(b.true)) for key, b in boxes]
    yield mean_figure(task, "<DET>/<N/A> accuracy", of, [(key, value) for key, value, _ in right])
    for what, present in ((f"present {of}", True), (f"absent {of}", False)):
        values = [(key, value) for key, value, true in right if true is present]
        if values:
            yield mean_figure(task, "<DET>/<N/A> accuracy", what, values)


def _precision_figures(
    task: Task, of: str, boxes: Sequence[tuple[str, NamedBoxes]], certainties: dict[tuple[str, str], float]
) -> Iterator[Figure]:
    """The mean over labels of average precision; a box is as sure as the yes to the label's own question."""
    studies, n = numbered([key for key, _ in boxes])
    images: dict[str, list[Boxed]] = {}
    for (key, named), study in zip(boxes, studies, strict=True):
        scores = (certainties.get((key, named.name), 1.0),) * len(named.found)
        images.setdefault(named.name, []).append(Boxed(named.found, scores, named.true, int(study)))

    def precision(thresholds: Sequence[float], counts: Counts) -> Resampled:
        return mean_defined(
            [average_precision(mine, t, counts) for mine in images.values() for t in thresholds]
        )

    for name, thresholds in (("AP", COCO_THRESHOLDS), ("AP50", (0.5,)), ("AP75", (0.75,))):
        yield figure(task, name, of, partial(precision, thresholds), studies=n, answers=len(boxes))


def _certainties(told: Sequence[Told]) -> dict[tuple[str, str], float]:
    """Probability of yes by study and label."""
    return {
        (one.study, one.mark.label): one.mark.probability for one in told if isinstance(one.mark, LabelMark)
    }


def _masks(of: str, marks: Sequence[tuple[str, MaskMark]]) -> Iterator[Figure]:
    shown = [(key, mark) for key, mark in marks if mark.shown]
    if shown:
        yield mean_figure(Task.SEGMENTATION, "Dice", of, [(key, mark.dice) for key, mark in shown])
        yield mean_figure(Task.SEGMENTATION, "IoU", of, [(key, mark.iou) for key, mark in shown])
    for name, values in (
        ("surface distance (mm)", [(k, m.average_distance_mm) for k, m in shown]),
        ("95 % Hausdorff distance (mm)", [(k, m.hausdorff_95_mm) for k, m in shown]),
    ):
        if known := [(key, value) for key, value in values if value is not None]:
            yield mean_figure(Task.SEGMENTATION, name, of, known)
    if absent := [(key, float(mark.given)) for key, mark in marks if not mark.shown]:
        yield mean_figure(Task.SEGMENTATION, "needless masks", of, absent)

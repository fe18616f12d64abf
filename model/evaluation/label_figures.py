"""Figures of what is told by name: labels with their probabilities, kinds of picture, diagnoses."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from model.evaluation.bootstrap import Counts, Values, numbered
from model.evaluation.classification import (
    Answers,
    area_under_curve,
    calibration_error,
    f1,
    macro,
    mean_defined,
    micro,
    pooled,
    precision,
    recall,
    tally,
)
from model.evaluation.figures import Figure, Told, figure, mean_figure
from model.evaluation.marks import DiagnosisMark, LabelMark, LabelsMark, ViewMark
from model.reading import Task

_TASK = Task.CLASSIFICATION.value
_MEASURES = {"F1": f1, "precision": precision, "recall": recall}


def label_answers(told: Sequence[Told]) -> dict[str, Answers]:
    """Every yes/no answer by label, in the order in which labels come; studies are numbered together."""
    marks = [(one.study, one.mark) for one in told if isinstance(one.mark, LabelMark)]
    studies, _ = numbered([key for key, _ in marks])
    labels = dict.fromkeys(mark.label for _, mark in marks)
    return {label: _answers(label, [mark for _, mark in marks], studies) for label in labels}


def label_figures(told: Sequence[Told]) -> Iterator[Figure]:
    """Per label and over all of them: F1, precision and recall at 0.5, area under the curve, calibration."""
    by_label = label_answers(told)
    if not by_label:
        return
    every = list(by_label.values())
    studies, answers = int(max(a.studies.max() for a in every)) + 1, sum(len(a.truths) for a in every)
    whole = partial(figure, _TASK, studies=studies, answers=answers)
    for name, measure in _MEASURES.items():
        yield whole(f"macro {name}", "findings", partial(macro, measure, every))
        yield whole(f"micro {name}", "findings", partial(micro, measure, every))
    yield whole("macro AUC", "findings", lambda c: mean_defined([area_under_curve(a, c) for a in every]))
    yield whole("calibration error", "findings", partial(calibration_error, pooled(every)))
    for label, answered in by_label.items():
        one = partial(figure, _TASK, studies=studies, answers=len(answered.truths))
        for name, measure in _MEASURES.items():
            yield one(name, label, lambda c, m=measure, a=answered: m(tally(a, c)))
        yield one("AUC", label, partial(area_under_curve, answered))


def list_figures(told: Sequence[Told]) -> Iterator[Figure]:
    """Macro and micro F1 of lists of labels, of those that are known to be present or absent."""
    marks = [(one.study, one.mark) for one in told if isinstance(one.mark, LabelsMark)]
    if not marks:
        return
    studies, n = numbered([key for key, _ in marks])
    labels = dict.fromkeys(label for _, m in marks for label in (*m.hits, *m.wrong, *m.missed))
    every = [
        Answers(
            np.array([float(label in mark.hits or label in mark.wrong) for _, mark in marks]),
            np.array([label in mark.hits or label in mark.missed for _, mark in marks]),
            studies,
        )
        for label in labels
    ]
    if every:
        whole = partial(figure, _TASK, of="listed findings", studies=n, answers=len(marks))
        yield whole(name="macro F1", statistic=partial(macro, f1, every))
        yield whole(name="micro F1", statistic=partial(micro, f1, every))


def view_figures(told: Sequence[Told]) -> Iterator[Figure]:
    """How often a chest radiograph is taken, and anything else declined."""
    for of, frontal in (("frontal chest radiographs", True), ("other pictures", False)):
        marks = [(one.study, one.mark) for one in told if isinstance(one.mark, ViewMark)]
        values = [(k, float(m.told_frontal is frontal)) for k, m in marks if m.true_frontal is frontal]
        if values:
            yield mean_figure(_TASK, "rightly taken or declined", of, values)


def diagnosis_figures(told: Sequence[Told]) -> Iterator[Figure]:
    """Macro F1 and accuracy of diagnoses of which each study has one."""
    marks = [(one.study, one.mark) for one in told if isinstance(one.mark, DiagnosisMark)]
    if not marks:
        return
    studies, n = numbered([key for key, _ in marks])
    classes = dict.fromkeys(mark.true for _, mark in marks) | dict.fromkeys(
        m.told for _, m in marks if m.told
    )
    every = [
        Answers(
            np.array([float(mark.told == label) for _, mark in marks]),
            np.array([mark.true == label for _, mark in marks]),
            studies,
        )
        for label in classes
    ]

    def macro_f1(counts: Counts) -> Values:
        return macro(f1, every, counts)

    yield figure(_TASK, "macro F1", "skin diagnoses", macro_f1, studies=n, answers=len(marks))
    right = [(key, float(mark.told == mark.true)) for key, mark in marks]
    yield mean_figure(_TASK, "accuracy", "skin diagnoses", right)


def _answers(label: str, marks: Sequence[LabelMark], studies: NDArray[np.int64]) -> Answers:
    mine = np.array([mark.label == label for mark in marks])
    return Answers(
        np.array([mark.probability for mark in marks])[mine],
        np.array([mark.true for mark in marks])[mine],
        studies[mine],
    )

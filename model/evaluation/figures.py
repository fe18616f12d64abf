"""Sums marks up: one figure for each task and measure, with its interval."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model.evaluation.bootstrap import Estimate, Statistic, estimate, mean_statistic, numbered
from model.evaluation.marks import Mark, MarkedStudy, Row
from model.reading import Modality


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure of one task."""

    task: str
    """E.g. `classification`."""
    name: str
    """What was measured, e.g. `macro F1`."""
    of: str
    """Of what: a label, an organ, `all`."""
    estimate: Estimate
    answers: int
    """How many values it sums up."""


@dataclass(frozen=True, slots=True)
class Told:
    """A mark with the study that it belongs to."""

    study: str
    modality: Modality
    row: Row

    @property
    def mark(self) -> Mark:
        return self.row.mark


Values = Sequence[tuple[str, float]]
"""Each with the key of its study."""


def told_in(studies: Sequence[MarkedStudy]) -> list[Told]:
    """Every row, with its study."""
    return [Told(study.patient_study, study.modality, row) for study in studies for row in study.rows]


def mean_figure(task: str, name: str, of: str, values: Values) -> Figure:
    """The mean of values; those of one study are drawn together."""
    studies, n = numbered([key for key, _ in values])
    numbers = [value for _, value in values]
    return Figure(task, name, of, estimate(mean_statistic(numbers, studies), n), len(numbers))


def figure(task: str, name: str, of: str, statistic: Statistic, *, studies: int, answers: int) -> Figure:
    """A figure that is more than a mean."""
    return Figure(task, name, of, estimate(statistic, studies), answers)


def well_formed_figures(told: Sequence[Told]) -> Iterator[Figure]:
    """The share of answers that the reader of studies can parse whole, by form of question and in all."""
    values = [(one.row.form.value, one.study, float(one.row.well_formed)) for one in told]
    for form in sorted({form for form, _, _ in values}):
        mine = [(key, value) for name, key, value in values if name == form]
        yield mean_figure("grammar", "well-formed answers", form, mine)
    if values:
        yield mean_figure("grammar", "well-formed answers", "all", [(key, value) for _, key, value in values])


def is_defined(one: Figure) -> bool:
    return not np.isnan(one.estimate.value)

"""How well probabilities of labels fit the truth: F1, precision, recall, area under the curve, calibration.

Every measure takes `counts` (R, S), how often each study counts, and gives (R,) values; see
`model.evaluation.bootstrap`. What divides by zero is NaN, and a macro average leaves it out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.evaluation.bootstrap import Counts, Values, ratio, summed

THRESHOLD = 0.5
"""The paper's, for F1."""
BINS = 10
"""Equal in width, of the calibration error (Guo et al., ICML 2017)."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """All answers about one label."""

    probabilities: NDArray[np.float64]
    """(N,) that the label is present."""
    truths: NDArray[np.bool_]
    """(N,)"""
    studies: NDArray[np.int64]
    """(N,) number of the study of each."""


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """What was told against what is true, (R,) each."""

    hits: Values
    """Told and true."""
    wrong: Values
    """Told and not true."""
    missed: Values
    """True and not told."""

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.hits + other.hits, self.wrong + other.wrong, self.missed + other.missed)


Measure = Callable[[Tally], Values]


def tally(answers: Answers, counts: Counts, threshold: float = THRESHOLD) -> Tally:
    """Count what is told at a threshold; a probability that equals it tells."""
    told, true = answers.probabilities >= threshold, answers.truths
    hits, wrong, missed = (
        summed(which, answers.studies, counts) for which in (told & true, told & ~true, ~told & true)
    )
    return Tally(hits, wrong, missed)


def precision(told: Tally) -> Values:
    return ratio(told.hits, told.hits + told.wrong)


def recall(told: Tally) -> Values:
    return ratio(told.hits, told.hits + told.missed)


def f1(told: Tally) -> Values:
    """NaN only where a label is neither told nor true."""
    return ratio(2 * told.hits, 2 * told.hits + told.wrong + told.missed)


def macro(
    measure: Measure,
    labels: Sequence[Answers],
    counts: Counts,
    threshold: float = THRESHOLD,
) -> Values:
    """The mean over labels of a measure, over those that define it."""
    return mean_defined([measure(tally(answers, counts, threshold)) for answers in labels])


def micro(
    measure: Measure,
    labels: Sequence[Answers],
    counts: Counts,
    threshold: float = THRESHOLD,
) -> Values:
    """A measure of all labels' answers taken together."""
    tallies = [tally(answers, counts, threshold) for answers in labels]
    return measure(sum(tallies[1:], tallies[0]))


def mean_defined(values: Sequence[Values]) -> Values:
    """The mean of several (R,) values, NaN left out; NaN where all are."""
    stacked = np.stack(values)
    return ratio(np.nansum(stacked, axis=0), (~np.isnan(stacked)).sum(axis=0).astype(np.float64))


def area_under_curve(answers: Answers, counts: Counts) -> Values:
    """Area under the ROC curve: the chance that a true case scores above a false one, ties by half."""
    order = np.argsort(answers.probabilities, kind="stable")
    drawn = counts[:, answers.studies[order]]
    starts = np.flatnonzero(np.diff(answers.probabilities[order], prepend=-np.inf))
    true, false = (
        np.add.reduceat(drawn * which, starts, axis=1).astype(np.float64)
        for which in (answers.truths[order], ~answers.truths[order])
    )
    below = np.cumsum(false, axis=1) - false / 2
    return ratio((true * below).sum(axis=1), true.sum(axis=1) * false.sum(axis=1))


def calibration_error(answers: Answers, counts: Counts, bins: int = BINS) -> Values:
    """Expected calibration error: |mean probability - share of true|, weighted by the answers in each bin."""
    held = bin_of(answers.probabilities, bins)
    gaps = np.zeros(len(counts))
    for n in range(bins):
        inside = held == n
        surplus = np.where(inside, answers.probabilities - answers.truths, 0)
        gaps += np.abs(summed(surplus, answers.studies, counts))
    return ratio(gaps, summed(np.ones(len(held)), answers.studies, counts))


def bin_of(probabilities: NDArray[np.float64], bins: int = BINS) -> NDArray[np.int64]:
    """The bin of each, [low, high); 1 belongs to the last."""
    return np.minimum((probabilities * bins).astype(np.int64), bins - 1)


def pooled(labels: Sequence[Answers]) -> Answers:
    """All labels' answers as if they were about one."""
    return Answers(
        np.concatenate([a.probabilities for a in labels]),
        np.concatenate([a.truths for a in labels]),
        np.concatenate([a.studies for a in labels]),
    )

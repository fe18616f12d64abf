"""What every text metric gives: counts of each example that sum, so that any resample can be judged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.errors import MetricError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PerExample:
    """What a metric counted in each example, and how its figures follow from the sums of those counts.

    A mean has the values and a one for each example as its counts; BLEU has n-gram counts and lengths; a
    macro F1 has hits, false alarms and misses of each label. All are functions of sums, so that a bootstrap
    resample is a weighted sum and a thousand of them are one matrix product.
    """

    figures: tuple[str, ...]
    """Names of the F figures, unique among all metrics: `BLEU-1`, `BLEU-4`."""
    counts: FloatArray
    """(N, S): what is summed, one row an example."""
    of_sums: Callable[[FloatArray], FloatArray]
    """(..., S) sums of counts to (..., F) figures; NaN where one is undefined (a mean of nothing)."""

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def corpus(self) -> FloatArray:
        """(F,): the figures of all examples together, as they are published."""
        return self.of_sums(self.counts.sum(axis=0))

    @property
    def values(self) -> FloatArray:
        """(N, F): the figures of each example taken alone."""
        return self.of_sums(self.counts)

    def combine(self, weights: FloatArray) -> FloatArray:
        """(R, F): the figures of R resamples, from (R, N) how often each example is drawn in each."""
        return self.of_sums(weights @ self.counts)


class Metric(Protocol):
    """Compares texts with their references."""

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> PerExample:
        """Judge each prediction by its one or more references, in the order given.

        Raises:
            MetricError: see `check_pairs`.
            NotComputedError: what was given to the metric does not cover these texts.
        """
        ...


def check_pairs(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """See that there is something to compare.

    Raises:
        MetricError: there are no predictions, not as many lists of references, or one of these is empty.
    """
    if not predictions or len(predictions) != len(references):
        raise MetricError(
            f"{len(predictions)} predictions cannot be compared with {len(references)} references"
        )
    if empty := sum(not given for given in references):
        raise MetricError(f"{empty} of {len(references)} predictions have no reference")


def only_references(references: Sequence[Sequence[str]]) -> list[str]:
    """The references, where each prediction has one, for metrics that are not defined for more.

    Raises:
        MetricError: a prediction has another number of references.
    """
    if others := sum(len(given) != 1 for given in references):
        raise MetricError(
            f"the metric takes one reference; {others} of {len(references)} predictions have more"
        )
    return [given[0] for given in references]


def mean_of(values: FloatArray, *figures: str) -> PerExample:
    """Figures that are means over examples of (N, F) values; NaN stands for an example that has no value."""
    known = ~np.isnan(values)
    counts = np.concatenate([np.where(known, values, 0.0), known.astype(np.float64)], axis=1)
    return PerExample(figures, counts, _halves)


def _halves(sums: FloatArray) -> FloatArray:
    total, number = np.split(sums, 2, axis=-1)
    return quotient(total, number, undefined=np.nan)


def quotient(numerator: FloatArray, denominator: FloatArray, *, undefined: float = 0.0) -> FloatArray:
    """Divide; where the denominator is zero the result is `undefined`."""
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    return np.divide(numerator, denominator, out=np.full(shape, undefined), where=denominator != 0)

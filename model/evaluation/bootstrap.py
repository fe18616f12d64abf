"""Confidence intervals by the bootstrap, as in the paper: 1,000 resamples, 2.5 and 97.5 percentiles.

What is drawn, with replacement, is a study with all its answers, since answers about one study resemble each
other. A draw is a vector of counts, one for each study, and a statistic is a function of many such vectors at
once: whatever is a ratio of sums becomes a product of matrices, and the figure itself is the statistic of
counts that are all 1.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)

Counts = NDArray[np.int64]
"""(R, S): how often each of S studies was drawn in each of R resamples."""
Values = NDArray[np.float64]
"""(R,): one value per resample; NaN where it is not defined."""
Statistic = Callable[[Counts], Values]

_CELLS = 4_000_000
"""Most counts in memory at once."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval; all NaN where nothing defines it."""

    value: float
    low: float
    high: float
    studies: int
    """How many studies it comes from."""


def estimate(statistic: Statistic, studies: int, *, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Take a statistic of `studies` studies with its percentile interval.

    Resamples in which it is not defined (a class was not drawn at all) are left out of the interval.
    """
    if not studies:
        return Estimate(np.nan, np.nan, np.nan, 0)
    value = float(statistic(np.ones((1, studies), np.int64))[0])
    rng = np.random.default_rng(seed)
    rows = max(_CELLS // studies, 1)
    parts = [
        statistic(rng.multinomial(studies, np.full(studies, 1 / studies), min(rows, resamples - n)))
        for n in range(0, resamples, rows)
    ]
    values = np.concatenate(parts)
    values = values[~np.isnan(values)]
    low, high = np.percentile(values, PERCENTILES) if len(values) else (np.nan, np.nan)
    return Estimate(value, float(low), float(high), studies)


def numbered(keys: Sequence[Hashable]) -> tuple[NDArray[np.int64], int]:
    """Number studies from 0 in the order in which they first come: of each key, and how many there are."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64), len(numbers)


def summed(values: NDArray[np.generic], studies: NDArray[np.int64], counts: Counts) -> Values:
    """Sum (N,) values of the drawn studies: as often as its study was drawn, each."""
    sums = np.bincount(studies, values.astype(np.float64), counts.shape[1]).astype(np.float64)
    return counts @ sums


def ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide; NaN where there is nothing to divide by."""
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below != 0)


def mean_statistic(values: Sequence[float], studies: NDArray[np.int64]) -> Statistic:
    """The mean of (N,) values, each of the study of that number."""
    given = np.asarray(values, np.float64)

    def statistic(counts: Counts) -> Values:
        return ratio(summed(given, studies, counts), summed(np.ones_like(given), studies, counts))

    return statistic

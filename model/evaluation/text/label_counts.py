"""F1 of labels from hits, false alarms and misses, which sum over examples."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from model.evaluation.text.metric import FloatArray, quotient

BoolArray = NDArray[np.bool_]


def label_counts(predicted: BoolArray, expected: BoolArray) -> FloatArray:
    """(N, 3 * L): hits, false alarms and misses of N examples with L labels each."""
    counts = [predicted & expected, predicted & ~expected, ~predicted & expected]
    return np.concatenate(counts, axis=1).astype(np.float64)


def f1_of_sums(*groups: Sequence[int], never_seen: float = 0.0) -> Callable[[FloatArray], FloatArray]:
    """Make (..., 3 * L) sums into micro and macro F1 of each group of labels, one after another.

    `never_seen` is the F1 of a label that neither side has: 0 as scikit-learn counts it, or NaN to leave it
    out of the macro F1.
    """

    def of_sums(sums: FloatArray) -> FloatArray:
        hits, alarms, misses = np.split(sums, 3, axis=-1)
        figures = [
            figure
            for group in groups
            for figure in _f1(hits[..., group], (alarms + misses)[..., group], never_seen)
        ]
        return np.stack(figures, axis=-1)

    return of_sums


def _f1(hits: FloatArray, faults: FloatArray, never_seen: float) -> tuple[FloatArray, FloatArray]:
    all_hits, all_faults = hits.sum(axis=-1), faults.sum(axis=-1)
    micro = quotient(2 * all_hits, 2 * all_hits + all_faults)
    each = quotient(2 * hits, 2 * hits + faults, undefined=never_seen)
    seen = ~np.isnan(each)
    macro = quotient(np.where(seen, each, 0.0).sum(axis=-1), seen.sum(axis=-1).astype(np.float64))
    return micro, macro

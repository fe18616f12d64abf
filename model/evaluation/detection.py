"""How well boxes fit the true ones: overlap, average precision as COCO defines it, and whether to box at all.

Boxes are x1, y1, x2, y2 in any one unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from model.evaluation.bootstrap import Counts, Values

Box = tuple[float, float, float, float]

COCO_THRESHOLDS = tuple(float(t) for t in np.linspace(0.5, 0.95, 10))
"""Overlaps from which a box counts as found, of COCO's main figure."""
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, slots=True, eq=False)
class Boxed:
    """The boxes of one label on one image."""

    found: tuple[Box, ...]
    scores: tuple[float, ...]
    """How sure each found box is; any scale."""
    true: tuple[Box, ...]
    study: int
    """Its number."""


def overlaps(found: Sequence[Box], true: Sequence[Box]) -> NDArray[np.float64]:
    """Intersection over union of every found with every true box, (F, T)."""
    a, b = (np.asarray(boxes, np.float64).reshape(-1, 4) for boxes in (found, true))
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def matched_overlaps(found: Sequence[Box], true: Sequence[Box]) -> list[float]:
    """The overlap of each true box with the found one that is its own, 0 where there is none left.

    No found box serves two true ones; they are dealt out for the largest sum.
    """
    every = overlaps(found, true)
    own = np.zeros(len(true))
    rows, columns = linear_sum_assignment(every, maximize=True)
    own[columns] = every[rows, columns]
    return own.tolist()


def average_precision(images: Sequence[Boxed], threshold: float, counts: Counts) -> Values:
    """Average precision of one label at one overlap: mean precision at 101 recalls (COCO, all areas).

    Found boxes are taken in the order of their scores, equal ones in the order given. NaN where no box is
    true.
    """
    scores = np.array([score for image in images for score in image.scores])
    studies = np.array([image.study for image in images for _ in image.found], np.int64)
    right = np.array([hit for image in images for hit in _hits(image, threshold)], np.bool_)
    true = np.array([len(image.true) for image in images], np.int64)
    wanted = counts[:, [image.study for image in images]] @ true
    order = np.argsort(-scores, kind="stable")
    drawn = counts[:, studies[order]]
    hits = np.cumsum(drawn * right[order], axis=1)
    values = _mean_precision(hits, np.cumsum(drawn, axis=1), np.maximum(wanted, 1))
    return np.where(wanted > 0, values, np.nan)


def _hits(image: Boxed, threshold: float) -> list[bool]:
    """Which found boxes claim a true box, the surest first; a true box is claimed once."""
    every, free = overlaps(image.found, image.true), np.ones(len(image.true), np.bool_)
    hits = [False] * len(image.found)
    for n in np.argsort(-np.array(image.scores), kind="stable"):
        claims = np.where(free, every[n], -1)
        # Of equal overlaps COCO's code takes the last.
        best = len(claims) - 1 - int(np.argmax(claims[::-1])) if len(claims) else -1
        if best >= 0 and claims[best] >= threshold:
            hits[n], free[best] = True, False
    return hits


def _mean_precision(
    hits: NDArray[np.int64], told: NDArray[np.int64], wanted: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Average the precision reached at each recall or beyond; (R, D) running counts, (R,) true boxes."""
    resamples, found = hits.shape
    if not found:
        return np.zeros(resamples)
    precision = np.divide(hits, told, out=np.zeros(hits.shape), where=told > 0)
    best_from_here = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    padded = np.concatenate([best_from_here, np.zeros((resamples, 1))], axis=1)
    # One search for all rows: each is lifted above the one before it.
    lift = (hits.max() + wanted.max() + 2) * np.arange(resamples)[:, None]
    at = np.searchsorted((hits + lift).ravel(), (_hits_for(_RECALLS, wanted) + lift).ravel())
    columns = np.clip(at.reshape(resamples, -1) - found * np.arange(resamples)[:, None], 0, found)
    return np.take_along_axis(padded, columns, axis=1).mean(axis=1)


def _hits_for(recalls: NDArray[np.float64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """The least hits whose recall, as floats compare, reaches each of `recalls`, (R, 101)."""
    least = np.ceil(recalls * wanted[:, None])
    least -= (least > 0) & ((least - 1) / wanted[:, None] >= recalls)
    least += least / wanted[:, None] < recalls
    return least.astype(np.int64)

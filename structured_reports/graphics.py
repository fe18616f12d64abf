"""Graphics of any maker as points on an image: SCOORD (PS3.3 C.18.6) and presentation states (C.10.5)."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_STEPS = 72
"""Points by which a circle or an ellipse is drawn."""
MARKS = frozenset(("POINT", "MULTIPOINT"))
"""Graphic types whose points are places, not corners of a line."""


def points_of(graphic_type: str, data: Iterable[float]) -> NDArray[np.float64]:
    """Turn graphic data into (column, row) points, (N, 2), in pixels from the outer corner of the first.

    CIRCLE is a centre and a point of the rim, ELLIPSE the ends of its major and then its minor axis; both
    come back as a closed line. What is not finite, or of a type that has no points in a plane, gives none.
    """
    flat = np.array([float(value) for value in data], dtype=np.float64)
    given = flat[: len(flat) // 2 * 2].reshape(-1, 2)
    if not np.isfinite(given).all():
        return np.empty((0, 2))
    if graphic_type == "CIRCLE" and len(given) == 2:
        radius = float(np.hypot(*(given[1] - given[0])))
        return _ellipse(given[0], np.array([radius, 0.0]), np.array([0.0, radius]))
    if graphic_type == "ELLIPSE" and len(given) == 4:
        centre = (given[0] + given[1]) / 2
        return _ellipse(centre, (given[1] - given[0]) / 2, (given[3] - given[2]) / 2)
    if graphic_type in {*MARKS, "POLYLINE", "INTERPOLATED", "POLYGON"}:
        return given
    return np.empty((0, 2))


def is_rectangle(points: NDArray[np.float64]) -> bool:
    """Say whether a line is a closed rectangle with sides along rows and columns."""
    if len(points) != 5 or not np.array_equal(points[0], points[4]):
        return False
    sides = np.diff(points, axis=0) == 0
    return bool((sides.sum(axis=1) == 1).all() and (sides[0::2, 0] == sides[0, 0]).all())


def _ellipse(
    centre: NDArray[np.float64], one: NDArray[np.float64], other: NDArray[np.float64]
) -> NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, _STEPS + 1)[:, None]
    return centre + np.cos(angles) * one + np.sin(angles) * other

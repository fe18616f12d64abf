"""Turns a family's boxes into bounding boxes on stored pixels, with the patient's side."""

import numpy as np

from model.reading import BoundingBox, Laterality
from model.volume import PlanarImage, View

SMALLEST_SIDE = 1.0
"""Pixels; a thinner box marks nothing."""

MIDLINE = 0.1
"""Of the image width: a box whose centre is nearer than this to the middle has no side."""

_MEDIAN = frozenset(
    {
        *("heart", "cardiac silhouette", "enlarged cardiac silhouette", "fluid overload/heart failure"),
        *("trachea", "carina", "spine", "abdomen", "hernia"),
        *("aorta", "aortic arch", "descending aorta", "tortuous aorta", "vascular calcification"),
        *("svc", "cavoatrial junction", "mediastinum", "upper mediastinum"),
        *("mediastinal widening", "mediastinal displacement", "pneumomediastinum", "pericardial effusion"),
    }
)
"""What lies in or beside the middle: its box has no side, wherever its centre falls."""

_NEAR_THE_MIDDLE = frozenset({"left cardiac silhouette", "right cardiac silhouette", "right atrium"})
"""Sided structures whose centre may cross the middle of an image that is not centred."""


def bounding_box(
    label: str, corners: tuple[float, float, float, float], image: PlanarImage
) -> BoundingBox | None:
    """Place j0, i0, j1, i1 of the turned grid on the stored pixels of `image`.

    Clips what reaches over the edge by rounding only. None if it is empty, not a number, or outside. On a
    lateral view both sides lie over each other, and the box has none.
    """
    rows, columns = image.pixels.shape[:2]
    if not np.isfinite(corners).all():
        return None
    j0, i0, j1, i1 = (
        float(np.clip(c, 0, limit)) for c, limit in zip(corners, (rows, columns) * 2, strict=True)
    )
    if j1 - j0 < SMALLEST_SIDE or i1 - i0 < SMALLEST_SIDE:
        return None
    sideless = label in _MEDIAN or image.view is View.LATERAL
    side = None if sideless else _side_of(label, (i0 + i1) / 2 / columns)
    low_j, low_i, high_j, high_i = image.orientation.undo_box((j0, i0, j1, i1), (rows, columns))
    return BoundingBox(label, image.frame, (low_j, low_i), (high_j, high_i), side)


def expected_side(label: str) -> Laterality | None:
    """The side that a label names; None if it names none."""
    first = label.split(" ")[0]
    return Laterality(first) if first in ("left", "right") else None


def _side_of(label: str, centre: float) -> Laterality | None:
    expected = expected_side(label)
    if expected is None:
        return _side(centre, MIDLINE)
    return _side(centre, MIDLINE if label in _NEAR_THE_MIDDLE else 0) or expected


def _side(centre: float, margin: float) -> Laterality | None:
    """The patient's side at `centre`, 0 to 1 of the width: image left is the patient's right."""
    if abs(centre - 0.5) < margin:
        return None
    return Laterality.RIGHT if centre < 0.5 else Laterality.LEFT

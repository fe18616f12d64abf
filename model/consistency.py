"""Holds words and boxes of a chest against the masks of its lungs and heart.

Masks are on the image as it is hung: the patient's left is on the image's right.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from model.merging import Merged
from model.reading import BoundingBox, Disagreement, Laterality, Presence
from model.report_language.terms import THORACIC_LABELS
from model.vocabulary import display_name
from model.volume import PlanarImage

Masks = Mapping[str, NDArray[np.bool_]]
"""(J, I) by label."""

CHEST_MARGIN = 0.1
"""Of the width and height of both lungs together: how far outside them a finding of the chest may lie."""

CLEARLY_SMALL, CLEARLY_LARGE = 0.38, 0.6
"""Cardiothoracic ratio below which no heart is enlarged, and above which every heart is, however it was
projected; between them lie 0.5 (Danzer 1919) and what an anteroposterior projection and a mask add to it."""

_HEART = "enlarged cardiac silhouette"


def believable_boxes(
    label: str, boxes: Sequence[BoundingBox], masks: Masks, image: PlanarImage
) -> tuple[list[BoundingBox], list[str]]:
    """Leave out boxes of a chest finding that lie outside the chest or in the other lung; say so."""
    kept: list[BoundingBox] = []
    caveats: list[str] = []
    extent = _extent(masks)
    if extent is None or label not in THORACIC_LABELS:
        return list(boxes), []
    rows, columns = image.pixels.shape[:2]
    for box in boxes:
        j0, i0, j1, i1 = image.orientation.apply_box((*box.low, *box.high), (rows, columns))
        centre = (j0 + j1) / 2, (i0 + i1) / 2
        side = _lung_at(masks, centre)
        if not all(low <= at <= high for at, (low, high) in zip(centre, extent, strict=True)):
            caveats.append(f"A box of {display_name(label)} lies outside the chest and was left out.")
        elif side and box.laterality and side is not box.laterality:
            caveats.append(
                f"A box of {display_name(label)} lies in the {side} lung but on the {box.laterality} side of "
                "the image and was left out."
            )
        else:
            kept.append(box)
    return kept, caveats


def cardiothoracic_ratio(masks: Masks) -> float | None:
    """Width of the heart by the width of the chest from lung to lung; None where a mask is missing."""
    found = [masks.get(label) for label in ("heart", "right lung", "left lung")]
    columns = [np.flatnonzero(mask.any(axis=0)) for mask in found if mask is not None and mask.any()]
    if len(columns) < 3:
        return None
    heart, right, left = columns
    return float((heart[-1] - heart[0] + 1) / (max(right[-1], left[-1]) - min(right[0], left[0]) + 1))


def check_heart(merged: Merged, masks: Masks) -> None:
    """Record where the masks clearly contradict what was concluded on the size of the heart."""
    ratio = cardiothoracic_ratio(masks)
    concluded = next((finding.presence for finding in merged.findings if finding.label == _HEART), None)
    if ratio is None or concluded is None:
        return
    if concluded is Presence.PRESENT and ratio < CLEARLY_SMALL:
        seen, against = Presence.ABSENT, "although an enlarged heart is reported"
    elif concluded is Presence.ABSENT and ratio > CLEARLY_LARGE:
        seen, against = Presence.PRESENT, "although an enlarged heart is denied"
    else:
        return
    merged.caveats.append(f"In the masks the heart is {ratio:.0%} as wide as the chest, {against}.")
    merged.disagreements[_HEART] = Disagreement(_HEART, (*merged.votes[_HEART], ("masks", seen)), concluded)


def _extent(masks: Masks) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Rows and columns between which findings of the chest lie; None where a lung is missing."""
    lungs = [masks.get(label) for label in ("right lung", "left lung")]
    places = [np.argwhere(lung) for lung in lungs if lung is not None and lung.any()]
    if len(places) < 2:
        return None
    both = np.concatenate(places)
    low, high = both.min(axis=0), both.max(axis=0) + 1
    margin = CHEST_MARGIN * (high - low)
    (top, left), (bottom, right) = (low - margin).tolist(), (high + margin).tolist()
    return (top, bottom), (left, right)


def _lung_at(masks: Masks, centre: tuple[float, float]) -> Laterality | None:
    """The side of the lung that holds a point."""
    for label, side in (("right lung", Laterality.RIGHT), ("left lung", Laterality.LEFT)):
        mask = masks[label]
        j, i = (min(max(int(at), 0), size - 1) for at, size in zip(centre, mask.shape, strict=True))
        if mask[j, i]:
            return side
    return None

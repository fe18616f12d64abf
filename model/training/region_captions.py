"""Regions of a radiograph and what a reader would say of each: the finding first, else the place."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from model.reading import CHEST_FINDINGS
from model.training.phantoms.truth import Box, ChestView, FindingTruth
from model.training.telling import finding_sentence, visible_findings

HEART = "heart"
NOTHING_HERE = "No abnormality in this region."
COVERED = 0.5
"""Of the smaller of region and finding, the part that both share, from which the region shows the finding."""
SAME = 0.5
"""Overlap (intersection over union) from which a region is taken for a structure."""
STRUCTURES_PER_VIEW, PATCHES_PER_VIEW = 2, 2

_ZONES = ("upper", "mid", "lower")


def captions_of(view: ChestView, rng: np.random.Generator) -> Iterator[tuple[Box, str]]:
    """Regions around findings, structures and patches of lung or heart, drawn loosely as people draw."""
    findings = [f.box for f in visible_findings(view)]
    structures = [view.boxes[str(n)] for n in rng.permutation(sorted(view.boxes))[:STRUCTURES_PER_VIEW]]
    loose = [_loosely(box, rng) for box in (*findings, *structures)]
    for box in (*loose, *_patches(view, rng)):
        caption = region_caption(view, box)
        if caption is not None:
            yield box, caption


def region_caption(view: ChestView, box: Box) -> str | None:
    """What a reader says of a region; None where it holds what is there but cannot be seen."""
    if any(f.visibility < 1 and _shared(f.box, box) > 0 for f in view.findings):
        return None
    place = place_of(view, box)
    told = dict.fromkeys(finding_sentence(f) for f in visible_findings(view) if _is_shown(f, box, place))
    if told:
        return " ".join(told)
    if place is None:
        return NOTHING_HERE
    if place == HEART:
        return "The cardiac silhouette is normal in size."
    return f"The {place} is clear." if "lung" in place else f"The {place} shows no abnormality."


def place_of(view: ChestView, box: Box) -> str | None:
    """The structure that fills the region, or the organ or lung zone at its centre."""
    best = max(view.boxes, key=lambda name: _overlap(view.boxes[name], box), default=None)
    if best is not None and _overlap(view.boxes[best], box) >= SAME:
        return best
    for organ in (HEART, "right lung", "left lung"):
        mask = view.masks.get(organ)
        if mask is None or not mask.any():
            continue
        row, column = (_pixel(box[n] + box[n + 2], mask.shape[1 - n]) for n in (1, 0))
        if mask[row, column]:
            return organ if organ == HEART else f"{organ.split(' ')[0]} {_zone(mask, row)} lung zone"
    return None


def _is_shown(finding: FindingTruth, box: Box, place: str | None) -> bool:
    if finding.label == CHEST_FINDINGS[-1]:
        return place == HEART
    return _shared(finding.box, box) >= COVERED


def _patches(view: ChestView, rng: np.random.Generator) -> Iterator[Box]:
    """Small boxes centred in a lung, or now and then in the heart."""
    for _ in range(PATCHES_PER_VIEW):
        organ = HEART if rng.random() < 0.15 else str(rng.choice(("right lung", "left lung")))
        mask = view.masks.get(organ)
        if mask is None or not mask.any():
            continue
        row, column = rng.choice(np.argwhere(mask))
        x, y = (column + 0.5) / mask.shape[1], (row + 0.5) / mask.shape[0]
        width, height = rng.uniform(0.05, 0.14, 2)
        yield _inside((x - width, y - height, x + width, y + height))


def _loosely(box: Box, rng: np.random.Generator) -> Box:
    """Move each edge by up to a tenth of the side, outwards rather than inwards."""
    x1, y1, x2, y2 = box
    across, down = x2 - x1, y2 - y1
    low, high = rng.uniform(-0.1, 0.05, 2), rng.uniform(-0.05, 0.1, 2)
    return _inside((x1 + low[0] * across, y1 + low[1] * down, x2 + high[0] * across, y2 + high[1] * down))


def _inside(box: tuple[float, float, float, float]) -> Box:
    x1, y1, x2, y2 = (float(min(max(edge, 0), 1)) for edge in box)
    return x1, y1, x2, y2


def _pixel(twice_centre: float, size: int) -> int:
    return min(int(twice_centre / 2 * size), size - 1)


def _zone(mask: NDArray[np.bool_], row: int) -> str:
    rows = np.flatnonzero(mask.any(axis=1))
    return _ZONES[min(int(3 * (row - rows[0]) / (rows[-1] + 1 - rows[0])), 2)]


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def _common(a: Box, b: Box) -> float:
    return _area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def _shared(a: Box, b: Box) -> float:
    return _common(a, b) / max(min(_area(a), _area(b)), 1e-9)


def _overlap(a: Box, b: Box) -> float:
    return _common(a, b) / max(_area(a) + _area(b) - _common(a, b), 1e-9)

"""One skin lesion photographed at several dates: it grows by a known area on the same skin."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, map_coordinates

from model.reading import SKIN_LESIONS, ChangeStatus
from model.training.phantoms.dermoscopy import PAINT, SHAPE, outline
from model.training.phantoms.skin_scene import Canvas, finish, paint_skin
from model.training.phantoms.truth import SkinCase

Picture = NDArray[np.floating]

STABLE = 0.08
"""Largest share of change in area that is none: pixels at the border and the camera's distance."""

_RATIOS = (1.0, 1.0, 1.1, 1.2, 1.3, 0.85)
"""Of length over an interval, equally likely."""


@dataclass(frozen=True, slots=True, eq=False)
class DatedPhotograph:
    """One photograph."""

    day: int
    case: SkinCase
    pixel_mm: float
    """Side of a pixel on the skin."""

    @property
    def area_mm2(self) -> float:
        return float(self.case.mask.sum()) * self.pixel_mm**2


@dataclass(frozen=True, slots=True)
class Growth:
    """What became of the lesion between two consecutive dates."""

    first_day: int
    last_day: int
    status: ChangeStatus
    area_percent: float


@dataclass(frozen=True, slots=True, eq=False)
class SkinTimeline:
    """One lesion in order of time."""

    seed: int
    photographs: tuple[DatedPhotograph, ...]
    intervals: tuple[Growth, ...]


def make_skin_timeline(seed: int, *, dates: int = 2, size: int = 224) -> SkinTimeline:
    """Photograph the lesion that seed `seed` draws at several dates; hair, light and optics differ each time.

    It grows about its middle, structures and all, and never over the border of the picture.
    """
    rng = np.random.default_rng([seed, 90])
    diagnosis = SKIN_LESIONS[int(rng.integers(len(SKIN_LESIONS)))]
    ratios = np.cumprod([1.0, *rng.choice(_RATIOS, dates - 1)])
    days = np.concatenate([[0], np.cumsum(rng.choice([30, 90, 180, 365], dates - 1))])
    pixel_mm = float(rng.uniform(10.0, 20.0)) / size
    canvas = Canvas.of(rng, size)
    edge = outline(canvas, diagnosis)
    # The largest date must fit: what the first cannot grow into, it is drawn smaller by.
    reach = float(np.hypot(canvas.x, canvas.y)[edge > 0].max()) * float(ratios.max())
    ratios = ratios * min(1.0, 0.72 / reach)
    skin = paint_skin(canvas)
    inside = _sigmoid(edge / SHAPE[diagnosis][3])
    depth = (np.asarray(distance_transform_edt(edge > 0)) * (2.0 / size)).astype(np.float32)
    lesion = PAINT[diagnosis](canvas, skin, inside, depth)
    photographs: list[DatedPhotograph] = []
    for n, (ratio, day) in enumerate(zip(ratios, days, strict=True)):
        image, mask = _grown(canvas, (skin, lesion, edge), float(ratio))
        date = replace(canvas, rng=np.random.default_rng([seed, 91 + n]))
        case = SkinCase(seed, finish(date, image), mask, diagnosis)
        photographs.append(DatedPhotograph(int(day), case, pixel_mm))
    return SkinTimeline(seed, tuple(photographs), tuple(_intervals(photographs)))


def _grown(
    canvas: Canvas, layers: tuple[Picture, Picture, Picture], ratio: float
) -> tuple[Picture, NDArray[np.bool_]]:
    """Return picture (J, I, 3) and mask (J, I) of the lesion enlarged about the canvas's origin."""
    skin, lesion, edge = layers
    size = canvas.shape[0]
    step = 2.0 / (size - 1)
    rows = canvas.y / ratio / step + (size - 1) / 2 - _offset(canvas.y, step, size)
    columns = canvas.x / ratio / step + (size - 1) / 2 - _offset(canvas.x, step, size)
    at = [rows, columns]
    grown = np.stack([map_coordinates(lesion[..., c], at, order=1, mode="nearest") for c in range(3)], -1)
    border = np.asarray(map_coordinates(edge, at, order=1, mode="nearest")) * ratio
    # Beyond the lesion's own soft edge the skin is that of every date.
    weight = np.clip(border / 0.06 + 1.0, 0, 1)[..., None]
    return (skin * (1 - weight) + grown * weight).astype(np.float32), border > 0


def _offset(axis: Picture, step: float, size: int) -> float:
    """Return how many pixels the lesion's middle lies from that of the picture, negative towards the end."""
    return float(axis.min() + axis.max()) / 2 / step


def _sigmoid(level: Picture) -> NDArray[np.float32]:
    return (1.0 / (1.0 + np.exp(-np.clip(1.8 * level, -30, 30)))).astype(np.float32)


def _intervals(photographs: Sequence[DatedPhotograph]) -> Iterator[Growth]:
    for earlier, later in pairwise(photographs):
        share = later.area_mm2 / earlier.area_mm2 - 1
        status = ChangeStatus.INCREASED if share > 0 else ChangeStatus.DECREASED
        if abs(share) <= STABLE:
            status = ChangeStatus.UNCHANGED
        yield Growth(earlier.day, later.day, status, 100 * share)

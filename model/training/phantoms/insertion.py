"""Lesions put into real radiographs: a real background, and a change between two dates that is exactly known.

The radiographs are taken as they are displayed, so that their pixels already are near the logarithm of the
exposure (PS3.3 C.8.11.3.1.2, LOG): a lesion is added there, as it would add to the path length in water.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from model.errors import ImagingError
from model.reading import ChangeStatus
from model.training.phantoms import augment
from model.training.phantoms.chest import Course, draw_course
from model.training.phantoms.chest_findings import (
    LARGEST_CONSOLIDATION_MM,
    LARGEST_NODULE_MM,
    Lesion,
    contrast_to_noise,
)
from model.training.phantoms.texture import smooth_noise
from model.training.phantoms.truth import ChangeTruth, ChestCase, ChestView, FindingTruth

Picture = NDArray[np.floating]

INSERTED = ("lung nodule", "consolidation")
"""Findings that need nothing but a place in a lung."""

_RADIUS_MM = {"lung nodule": LARGEST_NODULE_MM / 2, "consolidation": 0.62 * LARGEST_CONSOLIDATION_MM}


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """A real frontal chest radiograph, upright, image left the patient's right."""

    pixels: NDArray[np.float32]
    """(J, I), 0 to 1, bright is dense."""
    spacing_mm: tuple[float, float]
    """Between rows, between columns; they differ where an image was squeezed into a square."""
    view: str

    def resized(self, size: int) -> "Radiograph":
        """Return it with `size` rows and columns, averaging what falls together."""
        rows, columns = self.pixels.shape
        picture = Image.fromarray(self.pixels).resize((size, size), Image.Resampling.BOX)
        spacing = self.spacing_mm[0] * rows / size, self.spacing_mm[1] * columns / size
        return Radiograph(np.asarray(picture, np.float32), spacing, self.view)


@dataclass(frozen=True, slots=True, eq=False)
class LungAxis:
    """The darkest line of one lung from top to bottom."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    contrast: float
    """How much brighter the mediastinum is beside it, on average."""


def lung_axes(pixels: Picture) -> tuple[LungAxis, LungAxis]:
    """Find the axes of the right and the left lung, the right one first (at image left).

    Raises:
        ImagingError: the picture has no two dark fields beside a bright middle.
    """
    height, width = pixels.shape
    smooth = gaussian_filter(pixels.astype(np.float32), (0.03 * height, 0.025 * width))
    rows = np.arange(round(0.22 * height), round(0.56 * height))
    band = smooth[rows]
    inner = slice(round(0.38 * width), round(0.62 * width))
    middle = inner.start + int(band[:, inner].mean(axis=0).argmax())
    axes: list[LungAxis] = []
    for side in (-1, 1):
        away = np.arange(round(0.09 * width), round(0.30 * width))
        field = band[:, middle + side * away] if middle + 0.3 * width < width else band[:, :0]
        if not field.size:
            raise ImagingError("the middle of the chest lies too near the border of the picture")
        at = field.argmin(axis=1)
        fall = band[:, middle] - field[np.arange(len(rows)), at]
        # The axis ends where the field does: the darkest point then sticks to the edge of the search.
        kept = (fall > 0.5 * np.median(fall)) & (at > 0) & (at < len(away) - 1)
        if fall.mean() < 0.08 or kept.sum() < 0.3 * len(rows):
            raise ImagingError("no two dark lung fields beside a bright middle")
        axes.append(LungAxis(rows[kept], middle + side * away[at[kept]], float(fall[kept].mean())))
    return axes[0], axes[1]


def _lesion(lesion: Lesion, extent: float, radiograph: Radiograph) -> tuple[Picture, NDArray[np.bool_], str]:
    """Return what the lesion adds to the pixels, its region and its zone."""
    rng = np.random.default_rng(lesion.seed)
    pixels = radiograph.pixels
    axis = lung_axes(pixels)[0 if lesion.sides[0] == "right lung" else 1]
    pick = round((0.08 + 0.84 * lesion.along) * (len(axis.rows) - 1))
    v = (np.arange(pixels.shape[0])[:, None] - axis.rows[pick]) * radiograph.spacing_mm[0]
    u = (np.arange(pixels.shape[1])[None, :] - axis.columns[pick]) * radiograph.spacing_mm[1]
    u = u + (lesion.across - 0.5) * 16.0
    angle, radius = np.arctan2(v, u), extent * _RADIUS_MM[lesion.label]
    waves = sum(rng.normal(0, 0.06) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in range(2, 7))
    distance = np.hypot(u, v) / (radius * (1 + waves))
    if lesion.label == "lung nodule":
        shape = np.sqrt(np.clip(1 - distance**2, 0, None))
        strength = rng.uniform(0.45, 0.7) * max(1.0, 8.0 / radius) ** 0.5
    else:
        patches = 0.15 * smooth_noise(rng, pixels.shape, 24) + 0.08 * smooth_noise(rng, pixels.shape, 60)
        shape = np.clip((1.0 - distance + patches) / 0.4, 0, 1) * _aerated(axis, pixels)
        strength = rng.uniform(0.5, 0.75)
    grain = 1 + 0.12 * smooth_noise(rng, pixels.shape, 70)
    added = gaussian_filter(shape * grain, 0.6) * strength * axis.contrast
    zone = ("upper", "mid", "lower")[min(int(3 * pick / len(axis.rows)), 2)]
    return added.astype(np.float32), shape > 0.3, zone


def _aerated(axis: LungAxis, pixels: Picture) -> Picture:
    """Return 0 to 1: how much of a lung (J, I) airspace can fill; neither chest wall nor mediastinum."""
    height, width = pixels.shape
    line = np.interp(np.arange(height), axis.rows, axis.columns)[:, None]
    away = np.abs(np.arange(width)[None, :] - line) / (0.13 * width)
    level = gaussian_filter(pixels, 0.012 * width)
    floor = np.interp(np.arange(height), axis.rows, level[axis.rows, axis.columns])[:, None]
    dark = np.clip((floor + 0.9 * axis.contrast - level) / (0.35 * axis.contrast), 0, 1)
    row = np.arange(height)[:, None]
    beyond = np.maximum(axis.rows[0] - row, row - axis.rows[-1]) / (0.07 * height)
    return np.exp(-(away**6) - np.clip(beyond, 0, None) ** 4) * dark


def _warp(rng: np.random.Generator, size: int) -> augment.Framing:
    """Turn by a degree, shift by a hundredth and bend by a two-hundredth of the width."""
    v, u = np.meshgrid(*[np.arange(size, dtype=np.float32)] * 2, indexing="ij")
    tilt, middle = np.deg2rad(rng.normal(0, 1.0)), (size - 1) / 2
    shift = rng.normal(0, 0.01 * size, 2)
    rows = v + tilt * (u - middle) + shift[0] + 0.004 * size * smooth_noise(rng, (size, size), 5)
    columns = u - tilt * (v - middle) + shift[1] + 0.004 * size * smooth_noise(rng, (size, size), 5)
    return augment.Framing(rows.astype(np.float32), columns.astype(np.float32))


def _expose(rng: np.random.Generator, pixels: Picture) -> NDArray[np.float32]:
    """Change what exposure and processing change: curve, contrast, level and noise."""
    shown = np.clip(pixels, 0, 1) ** rng.uniform(0.85, 1.18)
    shown = 0.5 + (shown - 0.5) * rng.uniform(0.88, 1.05) + rng.uniform(-0.04, 0.04)
    return np.clip(shown + 0.004 * rng.standard_normal(shown.shape), 0, 1).astype(np.float32)


def _develop(rng: np.random.Generator, radiograph: Radiograph, lesion: Lesion, extent: float) -> ChestView:
    """Return one date with the lesion of `extent` in it; 0 leaves it out."""
    pixels = radiograph.pixels
    frame = _warp(rng, len(pixels))
    findings: tuple[FindingTruth, ...] = ()
    if extent:
        added, region, zone = _lesion(lesion, extent, radiograph)
        seen = contrast_to_noise(added, region, pixels - gaussian_filter(pixels, len(pixels) / 22))
        # Towards white there is less room, as a film's curve has it.
        pixels = pixels + added * np.clip(1.35 - pixels, 0.2, 1)
        box = augment.box_of(frame.region(region))
        findings = (FindingTruth(lesion.label, lesion.laterality, zone, extent, box, seen),)
    warped = map_coordinates(pixels, [frame.rows, frame.columns], order=1, mode="nearest")
    return ChestView(_expose(rng, warped), {}, {}, findings, radiograph.spacing_mm, radiograph.view)


def insert_change(
    seed: int,
    current: Radiograph,
    prior: Radiograph,
    *,
    days_between: int,
    size: int = 448,
    status: ChangeStatus | None = None,
) -> ChestCase:
    """Insert one lesion that takes the course `status` (drawn where it is None) into two radiographs.

    The lesion lies at the same place of the same lung of each. Truth is of the inserted lesion only: masks
    and anatomy are empty, and what the patient really had is not known here. Given the same radiograph
    twice, nothing but the lesion, the warp and the exposure differs.

    Raises:
        ImagingError: a radiograph shows no two lung fields.
    """
    rng = np.random.default_rng([seed, 60])
    label = str(rng.choice(INSERTED))
    course: Course = draw_course(rng, label, status or ChangeStatus(rng.choice(list(ChangeStatus))))
    views = [
        _develop(np.random.default_rng([seed, 61 + n]), date.resized(size), course.lesion, extent)
        for n, (date, extent) in enumerate(((current, course.now), (prior, course.before)))
    ]
    zones = [finding.zone for view in views for finding in view.findings]
    change = ChangeTruth(label, course.lesion.laterality, zones[0], course.status)
    return ChestCase(seed, views[0], views[1], days_between, (change,))

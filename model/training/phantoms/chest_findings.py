"""Chest findings as changes of water path length on a projected torso."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_dilation, gaussian_filter

from model.reading import Laterality
from model.training.phantoms.projection import LUNG_DENSITY, SIDES, Picture, Region, Scene
from model.training.phantoms.texture import smooth_noise

LARGEST_NODULE_MM = 35.0
LARGEST_CONSOLIDATION_MM = 62.0
LARGEST_EFFUSION_MM = 165.0
LARGEST_PNEUMOTHORAX_MM = 62.0

SUBTLE = ("lung nodule", "consolidation")
"""What a rib, a border, noise or a bright window can hide."""

JUST_SEEN = 12.0
"""Contrast to noise times the root of the area in pixels of `READ_AT`.

Nodules were looked for in displayed pictures: of 15 below it none was seen, of 15 from there to 18
about half, of 15 from 20 to 24 all but two.
"""
READ_AT = 224

# An extent of 0.25 is a ratio of 0.55, the border; what is drawn keeps off it by more than a pixel.
SMALLEST_EXTENT = {
    "lung nodule": 8.0 / LARGEST_NODULE_MM,
    "consolidation": 0.32,
    "pleural effusion": 0.18,
    "pneumothorax": 0.3,
    "enlarged cardiac silhouette": 0.32,
}


@dataclass(frozen=True, slots=True)
class Lesion:
    """One finding of one person; its extent is given anew at each time point."""

    label: str
    laterality: Laterality | None
    across: float
    """0 hilum to 1 chest wall."""
    along: float
    """0 apex to 1 diaphragm."""
    seed: int

    @property
    def sides(self) -> tuple[str, ...]:
        """The lungs that it lies in."""
        return tuple(
            lung for lung in SIDES if self.laterality in (Laterality.BILATERAL, Laterality(lung.split()[0]))
        )


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What a lesion does to the picture."""

    water: Picture
    """(J, I) mm of water to add, vessels that vanish included."""
    region: Region


def ratio_of_extent(extent: float) -> float:
    """Return the cardiothoracic ratio that an enlarged heart of `extent` has: 0.25 is 0.55, 1 is 0.70."""
    return 0.5 + 0.2 * extent


def _place(lesion: Lesion, scene: Scene, lung: str) -> tuple[float, float, float]:
    """Return x, z and the lung's height in the scene for a lesion's place."""
    top, low = scene.torso.height, scene.domes[lung]
    z = top - (0.1 + 0.82 * lesion.along) * (top - low)
    row = int(np.argmin(np.abs(scene.z[:, 0] - z)))
    field = scene.fields[lung][row]
    if not field.any():
        return 0.0, z, 0.0
    away = np.sort(np.abs(scene.x[0][field]))
    x = away[0] + (0.1 + 0.78 * lesion.across) * (away[-1] - away[0])
    return SIDES[lung] * float(x), z, top - low


def nodule(lesion: Lesion, extent: float, scene: Scene) -> Trace:
    """Draw a slightly lobulated sphere of soft tissue."""
    rng = np.random.default_rng(lesion.seed)
    lung = lesion.sides[0]
    x, z, _ = _place(lesion, scene, lung)
    radius = extent * LARGEST_NODULE_MM / 2
    dx, dz = scene.x - x, scene.z - z
    angle = np.arctan2(dz, dx)
    waves = sum(rng.normal(0, 0.05) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in range(2, 7))
    distance = np.hypot(dx, dz) / (radius * (1 + waves))
    density = rng.uniform(1.2, 1.9) * (1 - LUNG_DENSITY)
    chord = 2 * radius * np.sqrt(np.clip(1 - distance**2, 0, None))
    # Small nodules that show at all are denser than water: granulomas, or drawn so.
    chord = chord * density * max(1.0, 17.0 / (2 * radius)) ** 0.9
    return Trace(chord.astype(np.float32), (distance < 1) & scene.fields[lung])


def consolidation(lesion: Lesion, extent: float, scene: Scene) -> Trace:
    """Fill airspace patchily: fluffy border, at times sharp at a fissure, with air bronchograms."""
    rng = np.random.default_rng(lesion.seed)
    lung = lesion.sides[0]
    x, z, _ = _place(lesion, scene, lung)
    radius = extent * LARGEST_CONSOLIDATION_MM
    stretch = rng.uniform(0.85, 1.4)
    patches = smooth_noise(rng, scene.shape, (10, 10)) * 0.17 + smooth_noise(rng, scene.shape, (28, 28)) * 0.1
    distance = np.hypot((scene.x - x) / (radius * stretch), (scene.z - z) / (radius / stretch)) + patches
    soft = np.clip((1.05 - distance) / rng.uniform(0.25, 0.5), 0, 1)
    if rng.random() < 0.4:
        fissure = z + rng.choice([-1, 1]) * radius * 0.45 + 0.15 * np.abs(scene.x - x)
        keep = scene.z > fissure if rng.random() < 0.5 else scene.z < fissure + 0.9 * radius
        soft = soft * keep
    grain = np.clip(1 + 0.25 * smooth_noise(rng, scene.shape, (55, 55)), 0.4, 1.3)
    depth = np.minimum(scene.thickness[lung], 1.7 * radius)
    added = soft * grain * depth * (1 - LUNG_DENSITY) * rng.uniform(0.55, 0.85)
    return Trace(added.astype(np.float32), (soft > 0.45) & scene.fields[lung])


def effusion(lesion: Lesion, extent: float, scene: Scene) -> Trace:
    """Fill the pleural space from below with a meniscus that climbs the lateral wall."""
    rng = np.random.default_rng(lesion.seed)
    climb, dim = rng.uniform(28, 66), rng.uniform(0.75, 1.0)
    water, region = np.zeros(scene.shape, np.float32), np.zeros(scene.shape, bool)
    for lung in lesion.sides:
        drop = scene.torso.dome_right if lung == "right lung" else scene.torso.dome_left
        side = SIDES[lung]
        level = scene.domes[lung] - 0.75 * drop + extent * LARGEST_EFFUSION_MM * (1.0 if side < 0 else 0.94)
        u = np.clip(side * scene.x / np.maximum(scene.lateral[lung], 1.0), 0, 1)
        surface = level + climb * (u**3.6 + 0.35 * np.clip(0.45 - u, 0, 1) ** 2) - 5.0
        full = np.clip((surface - scene.z) / 20.0 + 0.5, 0, 1)
        deep = scene.thickness[lung]
        water += (full * (deep * (1 - LUNG_DENSITY) * dim + 14.0 * (deep > 0))).astype(np.float32)
        wet = full > 0.5
        region |= wet & (scene.fields[lung] | ((deep > 0) & (u > 0.72) & (scene.z > scene.dome(lung) - 6)))
    return Trace(water, region)


def pneumothorax(lesion: Lesion, extent: float, scene: Scene) -> Trace:
    """Part the lung from the chest wall at apex and side; behind the pleural line there are no vessels."""
    rng = np.random.default_rng(lesion.seed)
    lung = lesion.sides[0]
    gap = extent * LARGEST_PNEUMOTHORAX_MM
    share = rng.uniform(0.45, 0.8)
    away = SIDES[lung] * scene.x
    lowered = np.interp(-(scene.z + gap)[:, 0], -scene.z[:, 0], scene.lateral[lung][:, 0])[:, None]
    along = np.clip((scene.torso.height - scene.z) / scene.torso.height, 0, 1.3)
    edge = (
        lowered
        - share * gap * np.clip(1.25 - along, 0.05, 1)
        + 2.0 * smooth_noise(rng, (scene.shape[0], 1), (9, 1))
    )
    field, deep = scene.fields[lung], scene.thickness[lung]
    outside = away - edge
    air = np.clip(outside / 2.0, 0, 1) * (deep > 0)
    line = np.exp(-((outside / 1.3) ** 2)) * field * 9.0
    fallen = (1 - air) * deep * 0.08 * (0.5 + extent)
    water = line + fallen - air * (deep * LUNG_DENSITY + scene.vessels)
    return Trace(water.astype(np.float32), (outside > 0) & field)


def enlarged_heart(lesion: Lesion, extent: float, scene: Scene) -> Trace:
    """Point at the heart; the scene's pose has drawn it large already."""
    return Trace(np.zeros(scene.shape, np.float32), scene.heart[1])


DRAW: dict[str, Callable[[Lesion, float, Scene], Trace]] = {
    "lung nodule": nodule,
    "consolidation": consolidation,
    "pleural effusion": effusion,
    "pneumothorax": pneumothorax,
    "enlarged cardiac silhouette": enlarged_heart,
}


def draw_lesion(rng: np.random.Generator, label: str) -> Lesion:
    """Draw side and place of one lesion, independent of everything else."""
    side: Laterality | None = Laterality.LEFT if rng.random() < 0.5 else Laterality.RIGHT
    if label == "enlarged cardiac silhouette":
        side = None
    if label == "pleural effusion" and rng.random() < 0.25:
        side = Laterality.BILATERAL
    return Lesion(label, side, float(rng.random()), float(rng.random()), int(rng.integers(2**31)))


def zone(lesion: Lesion, region: Region, scene: Scene) -> str | None:
    """Return the third of the lung in which the middle of `region` lies."""
    if lesion.label not in ("lung nodule", "consolidation") or not region.any():
        return None
    lung = lesion.sides[0]
    middle = float(scene.z[np.flatnonzero(region.any(axis=1)), 0].mean())
    part = (scene.torso.height - middle) / (scene.torso.height - scene.domes[lung])
    return "upper" if part < 1 / 3 else "mid" if part < 2 / 3 else "lower"


def contrast_to_noise(change: NDArray[np.floating], region: Region, backdrop: NDArray[np.floating]) -> float:
    """Return the mean change in `region` over the spread of what surrounds it once its trend is taken off."""
    if region.sum() < 6:
        return 0.0
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    j0, j1 = max(rows[0] - 8, 0), rows[-1] + 9
    i0, i1 = max(columns[0] - 8, 0), columns[-1] + 9
    spread = float(backdrop[j0:j1, i0:i1][region[j0:j1, i0:i1]].std())
    return float(np.abs(change[region]).mean()) / max(spread, 1e-3)


def conspicuity(shown: Picture, bare: Picture, region: Region) -> float:
    """Return how clearly a finding stands out of the displayed picture, 1 where a reader begins to see it.

    Rose's criterion: its contrast with its rim, over the spread of what surrounds it, times the root of its
    area (Rose 1948; Burgess 1999). Windows, scatter, noise and compression count as far as they are seen.

    Args:
        shown: (J, I), 0 to 1, as displayed with the finding.
        bare: the same without it.
        region: (J, I), where it is.
    """
    change, bare = _as_read(shown - bare), _as_read(bare)
    inside = _as_read(region) > 0.5
    area = float(inside.sum())
    if area < 1:
        return 0.0
    rim = _wider(inside, 4) & ~_wider(inside, 1)
    around = _wider(inside, 6)
    contrast = float(change[inside].mean() - change[rim].mean())
    detail = bare - gaussian_filter(bare, max(3.0, area**0.5 / 1.5))
    return max(contrast, 0.0) / max(float(detail[around].std()), 1e-3) * area**0.5 / JUST_SEEN


def _wider(region: Region, pixels: int) -> Region:
    return np.asarray(binary_dilation(region, iterations=pixels), np.bool_)


def _as_read(picture: NDArray[Any]) -> NDArray[np.float32]:
    image = Image.fromarray(picture.astype(np.float32))
    return np.asarray(image.resize((READ_AT, READ_AT), Image.Resampling.BOX), np.float32)

"""Findings with a volume: what they fill of a solid torso, and how they look from any side."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.reading import Laterality
from model.training.phantoms.chest_findings import (
    LARGEST_CONSOLIDATION_MM,
    LARGEST_EFFUSION_MM,
    LARGEST_NODULE_MM,
    Lesion,
)
from model.training.phantoms.projection import LUNG_DENSITY, SIDES
from model.training.phantoms.solid_torso import STEP_MM, SolidTorso, Voxels
from model.training.phantoms.texture import smooth_noise

HEART = "enlarged cardiac silhouette"


@dataclass(frozen=True, slots=True, eq=False)
class Solid:
    """One finding at one date."""

    filled: Voxels
    """(K, J, I): the share of each voxel that it takes, 0 to 1."""
    added: Voxels
    """(K, J, I): density relative to water that it adds."""

    @property
    def volume_ml(self) -> float:
        return float(self.filled.sum(dtype=np.float64)) * STEP_MM**3 / 1000.0

    @property
    def diameter_mm(self) -> float:
        """Of the sphere of the same volume."""
        return float((6.0 * self.volume_ml * 1000.0 / np.pi) ** (1 / 3))


def _centre(lesion: Lesion, torso: SolidTorso) -> tuple[float, float, float]:
    """Return x, y, z of a lesion's place in the lung, in the body's own coordinates."""
    (lung,) = lesion.sides
    rng = np.random.default_rng([lesion.seed, 1])
    region = torso.lungs[lung]
    rows = np.flatnonzero(region.any(axis=(1, 2)))
    row = rows[round((0.12 + 0.7 * lesion.along) * (len(rows) - 1))]
    columns = np.flatnonzero(region[row].any(axis=0))
    # Columns count to the patient's left: the hilum is at the other end of the right lung.
    across = 0.2 + 0.6 * lesion.across
    column = columns[round((across if SIDES[lung] > 0 else 1 - across) * (len(columns) - 1))]
    depths = np.flatnonzero(region[row, :, column])
    depth = depths[round(rng.uniform(0.25, 0.75) * (len(depths) - 1))]
    return float(torso.x[0, 0, column]), float(torso.y[row, depth, 0]), float(torso.z[row, 0, 0])


def _ball(lesion: Lesion, torso: SolidTorso, radius_mm: float, rough: float) -> Voxels:
    """Return the share of each voxel within a lobulated ball; the same shape at every size."""
    rng = np.random.default_rng([lesion.seed, 2])
    x, y, z = _centre(lesion, torso)
    waves = rng.normal(0, 2.2, (4, 3))
    reach = 1.6 * radius_mm + 2 * STEP_MM
    filled = np.zeros(torso.shape, np.float32)
    rows = np.abs(torso.z[:, 0, 0] - z) < reach
    columns = np.abs(torso.x[0, 0] - x) < reach
    dx, dy, dz = torso.x[:, :, columns] - x, torso.y[rows] - y, torso.z[rows] - z
    distance = np.maximum(np.sqrt(dx**2 + dy**2 + dz**2), 1e-3)
    wave = sum(np.sin((a * dx + b * dy + c * dz) / distance) for a, b, c in waves)
    share = np.clip(0.5 + (radius_mm * (1 + rough * wave) - distance) / STEP_MM, 0, 1)
    filled[np.ix_(rows, np.ones(torso.shape[1], np.bool_), columns)] = share
    return filled


def nodule(lesion: Lesion, extent: float, torso: SolidTorso) -> Solid:
    """A slightly lobulated ball of soft tissue."""
    (lung,) = lesion.sides
    density = 1.15 + 0.6 * (lesion.seed % 7) / 6
    filled = _ball(lesion, torso, extent * LARGEST_NODULE_MM / 2, 0.04) * torso.lungs[lung]
    return Solid(filled, filled * np.float32(density - LUNG_DENSITY))


def consolidation(lesion: Lesion, extent: float, torso: SolidTorso) -> Solid:
    """Airspace filled patchily within one lung."""
    (lung,) = lesion.sides
    rng = np.random.default_rng([lesion.seed, 3])
    filled = _ball(lesion, torso, 0.7 * extent * LARGEST_CONSOLIDATION_MM, 0.1) * torso.lungs[lung]
    grain = np.clip(0.75 + 0.2 * smooth_noise(rng, torso.shape, 22), 0.35, 1.0)
    return Solid(filled, (filled * grain * (1 - LUNG_DENSITY)).astype(np.float32))


def effusion(lesion: Lesion, extent: float, torso: SolidTorso) -> Solid:
    """Fluid that fills the pleural space from below and climbs the wall."""
    filled = np.zeros(torso.shape, np.float32)
    for lung in lesion.sides:
        lowest = float(torso.z[torso.lungs[lung].any(axis=(1, 2))].min())
        surface = lowest + 12.0 + extent * 0.75 * LARGEST_EFFUSION_MM
        surface = surface + 34.0 * np.clip(torso.level(lung), 0, 1.05) ** 5
        share = np.clip(0.5 + (surface - torso.z) / STEP_MM, 0, 1)
        filled += (share * torso.lungs[lung]).astype(np.float32)
    return Solid(filled, filled * np.float32(1 - LUNG_DENSITY))


def pneumothorax(lesion: Lesion, extent: float, torso: SolidTorso) -> Solid:
    """Air between lung and wall, widest at the apex; a fine line of pleura borders it."""
    (lung,) = lesion.sides
    along = np.clip((torso.torso.height - torso.z) / torso.torso.height, 0, 1)
    lateral = np.maximum(torso.front.lateral[lung][:, :, None], 1.0)
    edge = 1 - (0.1 + 0.42 * extent) * np.clip(1 - along / 0.92, 0, 1) ** 0.7
    width = STEP_MM / torso.torso.half_width
    outside = np.clip(SIDES[lung] * torso.x / lateral, 0, None) - edge
    aerated = torso.lungs[lung]
    apex = torso.z > torso.torso.height - 34.0 * extent
    filled = np.where(apex, 1.0, np.clip(0.5 + outside / width, 0, 1)) * aerated
    pleura = np.exp(-((outside / width) ** 2)) * 0.3 * aerated * ~apex
    fallen = 0.07 * (0.5 + extent) * aerated * (1 - filled)
    return Solid(filled.astype(np.float32), (pleura + fallen - filled * LUNG_DENSITY).astype(np.float32))


def enlarged_heart(lesion: Lesion, extent: float, torso: SolidTorso) -> Solid:
    """The heart itself: the torso holds it enlarged already."""
    return Solid(torso.heart.astype(np.float32), np.zeros(torso.shape, np.float32))


FILL: Mapping[str, Callable[[Lesion, float, SolidTorso], Solid]] = {
    "lung nodule": nodule,
    "consolidation": consolidation,
    "pleural effusion": effusion,
    "pneumothorax": pneumothorax,
    HEART: enlarged_heart,
}

ROUND = frozenset({"lung nodule", "consolidation"})
"""Findings that a diameter describes."""


def zone(lesion: Lesion, solid: Solid, torso: SolidTorso) -> str | None:
    """Return the third of the lung's height in which the middle of the finding lies."""
    if lesion.label not in ROUND or lesion.laterality is Laterality.BILATERAL:
        return None
    rows = np.flatnonzero((solid.filled > 0.5).any(axis=(1, 2)))
    if not len(rows):
        return None
    (lung,) = lesion.sides
    middle = float(torso.z[rows, 0, 0].mean())
    part = (torso.torso.height - middle) / (torso.torso.height - torso.front.domes[lung])
    return "upper" if part < 1 / 3 else "mid" if part < 2 / 3 else "lower"


def silhouette(thickness: NDArray[np.floating], solid: Solid) -> NDArray[np.bool_]:
    """Return where a projected finding is thick enough to have an edge: (J, I), from mm along the beam."""
    peak = float(thickness.max())
    return (
        thickness > max(min(0.25 * peak, 6.0), 0.5) if peak > 0 and solid.volume_ml > 0 else thickness > 1e9
    )

"""A cone beam through a solid torso: from behind (PA), from the front (AP) or from the right (LL)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from model.training.phantoms.solid_torso import STEP_MM, SolidTorso
from model.training.phantoms.strokes import Cloud, splat

Picture = NDArray[np.floating]

_SLAB = 4
"""Voxels along the beam that share one magnification."""


@dataclass(frozen=True, slots=True)
class Beam:
    """How one radiograph was taken.

    A lateral picture shows the front of the body at its left, as a left lateral is hung: the left side lies
    against the detector (ViewPosition LL).
    """

    view: str
    """`PA`, `AP` or `LL`."""
    focus_mm: float
    """Source to detector."""
    turn: float
    """How far the patient is turned about the long axis from the ideal, radians."""
    field_mm: float
    """Side of the square field of view, in the plane through the middle of the body."""
    top_mm: float
    """z of its upper edge."""
    size: int
    """Rows and columns."""

    @property
    def pitch_mm(self) -> float:
        return self.field_mm / self.size

    def magnification(self, depth: NDArray[np.floating] | float, gap_mm: float) -> NDArray[np.floating]:
        """Return the magnification at `depth` mm nearer to the source than the middle, where it is 1."""
        to_middle = self.focus_mm - gap_mm
        return np.asarray(to_middle / (to_middle - np.asarray(depth)), np.float32)

    def project(self, torso: SolidTorso, density: NDArray[np.floating] | NDArray[np.bool_]) -> Picture:
        """Sum voxels (K, J, I) along the beam; (size, size) mm, an upright picture."""
        lateral = self.view == "LL"
        count = density.shape[2 if lateral else 1]
        total = np.zeros((self.size, self.size), np.float32)
        for first in range(0, count, _SLAB):
            last = min(first + _SLAB, count)
            slab = density[:, :, first:last].sum(2) if lateral else density[:, first:last].sum(1)
            if not slab.any():
                continue
            position = ((first + last) / 2 - count / 2) * STEP_MM
            total += self._resampled(torso, slab.astype(np.float32) * STEP_MM, position)
        # Voxels are larger than pixels: without this their edges would show.
        return gaussian_filter(total, 0.45 * STEP_MM / self.pitch_mm, truncate=3)

    def splat(self, torso: SolidTorso, cloud: Cloud) -> Picture:
        """Project a cloud to millimetres of water."""
        x, y, z = cloud.points.T
        along, across = (x, y) if self.view == "LL" else (y, x)
        scale = self.magnification(self._towards_source(along), self._gap(torso))
        column = (self._turned(across, along) * scale / self.field_mm + 0.5) * self.size - 0.5
        column = column.astype(np.float32)
        axis = self._axis(torso)
        row = (self.top_mm - (z - axis) * scale - axis) / self.pitch_mm - 0.5
        return splat((self.size, self.size), row, column, cloud.mass / np.float32(self.pitch_mm**2))

    def _resampled(self, torso: SolidTorso, slab: Picture, position: float) -> Picture:
        scale = float(self.magnification(self._towards_source(position), self._gap(torso)))
        axis = self._axis(torso)
        pixels = (np.arange(self.size) + 0.5) / self.size
        z = (self.top_mm - pixels * self.field_mm - axis) / scale + axis
        seen = ((pixels - 0.5) * self.field_mm / scale - self._turned(0.0, position)) / np.cos(self.turn)
        rows = _weights((torso.top_mm - z) / STEP_MM - 0.5, slab.shape[0])
        columns = _weights(seen / STEP_MM + slab.shape[1] / 2 - 0.5, slab.shape[1])
        return rows @ slab @ columns.T

    def _turned(
        self, across: NDArray[np.floating] | float, along: NDArray[np.floating] | float
    ) -> NDArray[np.float32]:
        return np.asarray(across * np.cos(self.turn) + along * np.sin(self.turn), np.float32)

    def _towards_source(self, along: NDArray[np.floating] | float) -> NDArray[np.floating] | float:
        """The source stands behind the patient in PA, before him in AP, to his right in LL."""
        return along if self.view == "PA" else -along

    def _gap(self, torso: SolidTorso) -> float:
        """Middle of the body to detector."""
        person = torso.torso
        half = person.half_width + person.wall if self.view == "LL" else person.half_depth + person.front_wall
        return half + 25.0

    def _axis(self, torso: SolidTorso) -> float:
        """Height of the central ray."""
        return 0.45 * torso.torso.height


def _weights(position: NDArray[np.floating], count: int) -> NDArray[np.float32]:
    """Return (N, count) weights that interpolate linearly at N fractional indices; nothing lies outside."""
    low = np.floor(position).astype(np.intp)
    part = (position - low).astype(np.float32)
    weights = np.zeros((len(position), count), np.float32)
    for index, weight in ((low, 1 - part), (low + 1, part)):
        inside = (index >= 0) & (index < count)
        weights[np.flatnonzero(inside), index[inside]] += weight[inside]
    return weights

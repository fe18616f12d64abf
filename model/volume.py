"""Pixels with their place: the one space that every room shares.

Voxel index is (k, j, i): slice, row, column. Patient space is DICOM LPS in millimetres (PS3.3 C.7.6.2.1.1).
Boxes and slices are half-open, low <= x < high, and count from the outer corner of the first pixel.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class FrameKey:
    """Names one frame of one instance; the only identity that pixels carry through the model."""

    sop_instance_uid: str
    frame_number: int = 1
    """Counts from 1, as ReferencedFrameNumber does; 1 for a single-frame instance."""


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """Where voxel centres lie in the patient."""

    affine: NDArray[np.float64]
    """(4, 4): maps (k, j, i, 1) at voxel centres to LPS millimetres."""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along k, j, i."""
        k, j, i = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(k), float(j), float(i)

    @property
    def voxel_volume_mm3(self) -> float:
        return abs(float(np.linalg.det(self.affine[:3, :3])))

    def to_patient(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map (..., 3) voxel indices (k, j, i) to (..., 3) LPS millimetres."""
        return index @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_index(self, point_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map (..., 3) LPS millimetres to (..., 3) fractional voxel indices (k, j, i)."""
        return (point_mm - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T


@dataclass(frozen=True, slots=True)
class Orientation:
    """How stored rows and columns were turned before the model saw them: transposed first, then flipped.

    The model always sees the patient as a radiologist hangs him; results go back to the stored rows and
    columns with `undo`, `undo_box` and `undo_geometry`, which need the turned grid only.
    """

    transposed: bool = False
    rows_flipped: bool = False
    columns_flipped: bool = False

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """Turn the last two axes of (..., J, I)."""
        turned = np.swapaxes(array, -1, -2) if self.transposed else array
        return self._flip(turned)

    def undo(self, array: NDArray[Any]) -> NDArray[Any]:
        """Turn the last two axes of (..., J, I) back to the stored rows and columns."""
        turned = self._flip(array)
        return np.swapaxes(turned, -1, -2) if self.transposed else turned

    def apply_box(
        self, box: tuple[float, float, float, float], shape: tuple[int, int]
    ) -> tuple[float, float, float, float]:
        """Map a half-open box j0, i0, j1, i1 of stored pixels to the turned grid of `shape` (J, I)."""
        j0, i0, j1, i1 = box
        if self.transposed:
            j0, i0, j1, i1 = i0, j0, i1, j1
        if self.rows_flipped:
            j0, j1 = shape[0] - j1, shape[0] - j0
        if self.columns_flipped:
            i0, i1 = shape[1] - i1, shape[1] - i0
        return j0, i0, j1, i1

    def undo_box(
        self, box: tuple[float, float, float, float], shape: tuple[int, int]
    ) -> tuple[float, float, float, float]:
        """Map a half-open box j0, i0, j1, i1 on the turned grid of `shape` (J, I) to stored pixels."""
        j0, i0, j1, i1 = box
        if self.rows_flipped:
            j0, j1 = shape[0] - j1, shape[0] - j0
        if self.columns_flipped:
            i0, i1 = shape[1] - i1, shape[1] - i0
        return (i0, j0, i1, j1) if self.transposed else (j0, i0, j1, i1)

    def undo_geometry(self, geometry: Geometry, shape: tuple[int, int]) -> Geometry:
        """Describe the stored grid, given the geometry of the turned grid of `shape` (J, I)."""
        to_turned = np.eye(4)
        if self.transposed:
            to_turned[1:3, 1:3] = [[0, 1], [1, 0]]
        if self.rows_flipped:
            to_turned[1] = -to_turned[1]
            to_turned[1, 3] = shape[0] - 1
        if self.columns_flipped:
            to_turned[2] = -to_turned[2]
            to_turned[2, 3] = shape[1] - 1
        return Geometry(geometry.affine @ to_turned)

    def _flip(self, array: NDArray[Any]) -> NDArray[Any]:
        rows = slice(None, None, -1 if self.rows_flipped else 1)
        columns = slice(None, None, -1 if self.columns_flipped else 1)
        return array[..., rows, columns]


UPRIGHT = Orientation()
"""Stored as it is hung."""


class View(StrEnum):
    """How the beam passed through the patient, as the header says; of a photograph it is unknown."""

    FRONTAL = "frontal"
    LATERAL = "lateral"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class PlanarImage:
    """One radiograph or photograph as a reader sees it.

    Pixels may be oblong (Pixel Aspect Ratio, or a spacing of two values). Boxes and masks count pixels, and a
    network's square grid is the image's field of view squeezed, so neither depends on their shape; only what
    is measured in millimetres needs `spacing_mm`.
    """

    pixels: NDArray[np.float32]
    """(J, I) grey or (J, I, 3) RGB, 0 to 1, after Modality LUT, VOI LUT and polarity: bright is dense."""
    frame: FrameKey
    spacing_mm: tuple[float, float] | None = None
    """Row and column spacing (j, i) at the detector or the patient, as the header says; None if unknown."""
    orientation: Orientation = UPRIGHT
    """What was done to the stored pixels; always `UPRIGHT` for RGB."""
    view: View = View.UNKNOWN


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """One stack of slices in patient space."""

    voxels: NDArray[np.float32]
    """(K, J, I), Hounsfield units for CT."""
    geometry: Geometry
    frames: tuple[FrameKey, ...]
    """K keys: frames[k] is the source of slice k."""
    orientation: Orientation = UPRIGHT
    """What was done to the stored rows and columns of every slice; `geometry` describes the turned grid."""

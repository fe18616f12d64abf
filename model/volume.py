"""Pixels with their place: the one space that every room shares.

Voxel index is (k, j, i): slice, row, column. Patient space is DICOM LPS in millimetres (PS3.3 C.7.6.2.1.1).
Boxes and slices are half-open, low <= x < high, and count from the outer corner of the first pixel.
"""

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, eq=False)
class PlanarImage:
    """One radiograph or photograph as a reader sees it."""

    pixels: NDArray[np.float32]
    """(J, I) grey or (J, I, 3) RGB, 0 to 1, after Modality LUT, VOI LUT and polarity: bright is dense."""
    frame: FrameKey
    spacing_mm: tuple[float, float] | None = None
    """Row and column spacing (j, i) at the detector or the patient, as the header says; None if unknown."""


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """One stack of slices in patient space."""

    voxels: NDArray[np.float32]
    """(K, J, I), Hounsfield units for CT."""
    geometry: Geometry
    frames: tuple[FrameKey, ...]
    """K keys: frames[k] is the source of slice k."""

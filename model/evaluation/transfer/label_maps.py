"""Lays a published label map over its scan, and makes sure by the contents that it lies there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from model.errors import GeometryError
from model.imaging.series import volume_from_series
from model.training.datasets.nifti import volume_from_nifti
from model.volume import Volume

Labels = NDArray[np.int32]

ORGANS: Mapping[str, tuple[int, ...]] = {"liver": (5,), "spleen": (1,), "kidneys": (2, 3), "pancreas": (7,)}
"""Labels of TotalSegmentator, version 2 (Wasserthal 2023)."""

_TISSUE: Mapping[int, tuple[float, float]] = {
    1: (20, 200), 5: (20, 200), 52: (20, 450), 63: (20, 350),
    **{vertebra: (80, 2000) for vertebra in range(26, 51)},
}  # fmt: skip
"""Hounsfield units of liver, spleen, aorta, inferior vena cava and vertebrae, with contrast or without."""

LEAST_FIT = 0.8
"""Share of a label's voxels that must have its Hounsfield units, averaged over labels."""

_SMALLEST = 500
"""Voxels; what the scan holds less of is not judged."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledScan:
    """A CT with the organs that its label map shows."""

    volume: Volume
    masks: Mapping[str, NDArray[np.bool_]]
    """(K, J, I) for each of `ORGANS` that is there."""


def labelled_scan(folder: Path, name: str) -> LabelledScan:
    """Read the series `folder/name/` and its label map `folder/name_seg.nii.gz`.

    Both affines bring the map onto the scan. Maps were published with the affine of another part of the scan,
    so what it calls liver, spleen, vessel or bone must have the Hounsfield units of that as well.

    Raises:
        GeometryError: the grids do not meet, or the contents do not.
        PixelError: a file cannot be read.
    """
    volume = volume_from_series([dcmread(path) for path in sorted((folder / name).glob("*.dcm"))])
    labels = _turned(volume_from_nifti(folder / f"{name}_seg.nii.gz"), volume)
    if _fit(labels, volume.voxels) < LEAST_FIT:
        raise GeometryError("the label map does not fit the contents of its scan")
    masks = {organ: np.isin(labels, values) for organ, values in ORGANS.items()}
    return LabelledScan(volume, {organ: mask for organ, mask in masks.items() if mask.sum() >= _SMALLEST})


def _turned(map_: Volume, volume: Volume) -> Labels:
    """Flip the axes of a map that run against those of its scan."""
    if map_.voxels.shape != volume.voxels.shape:
        raise GeometryError("a label map and its scan differ in size")
    to_scan = np.linalg.inv(volume.geometry.affine) @ map_.geometry.affine
    if not np.allclose(np.abs(to_scan[:3, :3]), np.eye(3), atol=0.01):
        raise GeometryError("a label map and its scan differ in more than direction")
    flipped = np.diag(to_scan)[:3] < 0
    ends = np.where(flipped, np.array(map_.voxels.shape) - 1, 0)
    if np.abs(to_scan[:3, 3] - ends).max() > 0.5:
        raise GeometryError("a label map lies elsewhere than its scan")
    axes = tuple(int(axis) for axis in np.flatnonzero(flipped))
    return np.flip(np.rint(map_.voxels).astype(np.int32), axes)


def _fit(labels: Labels, voxels: NDArray[np.float32]) -> float:
    shares: list[float] = []
    for label, (low, high) in _TISSUE.items():
        values = voxels[labels == label]
        if len(values) >= _SMALLEST:
            shares.append(float(((values > low) & (values < high)).mean()))
    return float(np.mean(shares)) if shares else 0.0

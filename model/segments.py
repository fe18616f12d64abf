"""Turns a family's mask probabilities into masks on the stored pixels of their source."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model.reading import Laterality, Mask
from model.volume import PlanarImage, Volume

THRESHOLD = 0.5

PAIRED = frozenset({"kidneys", "kidney"})
"""Labels of which two components are kept: one organ on either side."""

SMALLEST_PART = 0.1
"""Of a pair, the smaller one's least size relative to the larger; less is a speck."""

_LATERALITY = {
    "left lung": Laterality.LEFT,
    "right lung": Laterality.RIGHT,
    "kidneys": Laterality.BILATERAL,
    "kidney": Laterality.BILATERAL,
}


def mask_voxels(probabilities: NDArray[np.float32], label: str) -> NDArray[np.bool_]:
    """Threshold (K, J, I) probabilities and keep the organ: its largest component, or two of a pair.

    Components are connected through faces, edges and corners.
    """
    voxels = probabilities >= THRESHOLD
    if not voxels.any():
        return voxels
    occupied = voxels[_extent(voxels)]
    parts = np.zeros(occupied.shape, np.int32)
    ndimage.label(occupied, np.ones((3, 3, 3)), output=parts)
    sizes = np.bincount(parts.ravel())[1:]
    if len(sizes) > 1:
        order = np.argsort(-sizes, kind="stable")[: 2 if label in PAIRED else 1]
        kept = np.zeros(len(sizes) + 1, np.bool_)
        kept[order + 1] = sizes[order] >= SMALLEST_PART * sizes.max()
        occupied[:] = kept[parts]
    return voxels


def _extent(voxels: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The part of a mask that holds all of it; an organ fills a small part of its volume."""
    across = ((1, 2), (0, 2), (0, 1))
    filled = [np.flatnonzero(voxels.any(axis=axes)) for axes in across]
    return tuple(slice(int(found[0]), int(found[-1]) + 1) for found in filled)


def mask_on_source(voxels: NDArray[np.bool_], label: str, image: PlanarImage | Volume) -> Mask:
    """Place (K, J, I) voxels of the turned grid on the stored rows and columns of `image`."""
    stored = np.ascontiguousarray(image.orientation.undo(voxels))
    if isinstance(image, PlanarImage):
        return Mask(label, stored, (image.frame,), None, _LATERALITY.get(label))
    geometry = image.orientation.undo_geometry(image.geometry, (voxels.shape[1], voxels.shape[2]))
    return Mask(label, stored, image.frames, geometry, _LATERALITY.get(label))


def volume_ml(mask: Mask) -> float | None:
    """The volume of a mask in millilitres; None for a planar image."""
    if mask.geometry is None:
        return None
    return float(mask.voxels.sum()) * mask.geometry.voxel_volume_mm3 / 1000

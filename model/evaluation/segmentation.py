"""How well a mask fits the true one: overlap, and distance of the surfaces in millimetres."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SurfaceDistance:
    """Between the surfaces of two masks, in the unit of the spacing; NaN if either mask is empty."""

    average: float
    """Mean over the voxels of both surfaces of the distance to the other (ASSD)."""
    hausdorff_95: float
    """The larger of the two directions' 95th percentiles."""


def dice(found: Mask, true: Mask) -> float:
    """2 |A and B| / (|A| + |B|); 1 where both are empty."""
    both = int(found.sum()) + int(true.sum())
    return 2 * int((found & true).sum()) / both if both else 1.0


def intersection_over_union(found: Mask, true: Mask) -> float:
    """|A and B| / |A or B|; 1 where both are empty."""
    either = int((found | true).sum())
    return int((found & true).sum()) / either if either else 1.0


def surface_distance(found: Mask, true: Mask, spacing: Sequence[float]) -> SurfaceDistance:
    """Measure masks of one grid, (J, I) or (K, J, I); voxel centres are `spacing` apart along each axis.

    A voxel is of the surface if a neighbour through a face is outside the mask or outside the image, as in
    MONAI. Its functions measure the same and are not used: they compute every surface twice and, as of 1.6,
    warn of themselves. A planar mask must be given as (J, I), or each of its voxels would be surface.
    """
    if not found.any() or not true.any():
        return SurfaceDistance(np.nan, np.nan)
    found, true = (mask[_around(found | true)] for mask in (found, true))
    there, back = (_distances(a, b, spacing) for a, b in ((found, true), (true, found)))
    return SurfaceDistance(
        float(np.concatenate([there, back]).mean()),
        float(max(np.percentile(there, 95), np.percentile(back, 95))),
    )


def _distances(a: Mask, b: Mask, spacing: Sequence[float]) -> NDArray[np.float64]:
    """From each surface voxel of `a` to the surface of `b`."""
    away = ndimage.distance_transform_edt(~_surface(b), sampling=spacing)
    return np.asarray(away, np.float64)[_surface(a)]


def _surface(mask: Mask) -> Mask:
    return mask & ~ndimage.binary_erosion(mask)


def _around(mask: Mask) -> tuple[slice, ...]:
    """The smallest part of the grid that holds a mask: no surface lies outside, no distance leads there."""
    (part,) = ndimage.find_objects(mask.astype(np.uint8))
    return part

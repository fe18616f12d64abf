"""From an image on its own grid to the grid of a network, and back.

Each forward function returns the network's array and a *placement*: the way back for boxes and masks. Serving
and training call the same functions, so there is no skew between them.

Planar images are squeezed to a square, as the published model does: rows stay rows, columns stay columns.

Volumes are first turned to one canonical pose by their affine, whatever the scan plane was: network axis 0
(depth) runs towards the head, axis 1 (i) towards the patient's left, axis 2 (j) towards the back. An axial CT
as DICOM stores it (k to the head, j to the back, i to the left) is only transposed, (K, J, I) to (K, I, J):
the (depth, i, j) order of the published preprocessing.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import csr_array
from torch.nn import functional

from model.errors import AbstentionError
from model.volume import PlanarImage, Volume

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
HU_RANGE = (-200.0, 300.0)
"""Soft tissue; everything outside is clipped."""


_NUDGE = 1e-3
"""Of a voxel."""

_BAND = 256
"""Rows that are converted at once, so that a large picture is not held several times."""


@dataclass(frozen=True, slots=True)
class PlanarPlacement:
    """Where a planar image's network grid lies on its source."""

    rows: int
    columns: int

    def box_to_source(
        self, fractions: tuple[float, float, float, float]
    ) -> tuple[float, float, float, float]:
        """Map x1, y1, x2, y2 fractions of width and height to j0, i0, j1, i1 pixels, inside the image."""
        x1, y1, x2, y2 = (min(max(f, 0.0), 1.0) for f in fractions)
        top, bottom = sorted((y1 * self.rows, y2 * self.rows))
        left, right = sorted((x1 * self.columns, x2 * self.columns))
        return top, left, bottom, right

    def mask_to_source(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (S, S) to (1, J, I); pixel edges of both grids coincide, as in the resize on the way in."""
        grid = torch.from_numpy(probabilities)[None, None]
        size = (self.rows, self.columns)
        return functional.interpolate(grid, size, mode="bilinear", align_corners=False)[0].numpy()


@dataclass(frozen=True, slots=True)
class VolumePlacement:
    """Where a volume's network grid lies on its source."""

    shape: tuple[int, int, int]
    """(K, J, I) of the source."""
    axes: tuple[int, int, int]
    """Source axis (0 is k) that became network axis 0, 1, 2."""
    flipped: tuple[bool, bool, bool]
    """Whether the source runs against each network axis."""

    def to_grid(self, voxels: NDArray[Any], grid: tuple[int, int, int]) -> NDArray[Any]:
        """Turn (K, J, I) to the canonical pose and take nearest voxels: (D, I, J)."""
        return nearest_end_aligned(np.flip(voxels.transpose(self.axes), _against(self.flipped)), grid)

    def mask_to_source(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (D, I, J) on the network grid to (K, J, I): linear between the voxels that the grid had taken.

        The way in takes nearest voxels, which lie up to half a voxel beside an even raster. The way back
        starts from where they truly lie, so that nothing is shifted.
        """
        turned = probabilities.transpose(np.argsort(self.axes))
        across_k, across_j, across_i = (
            _weights(self.shape[a], turned.shape[a], flipped=self.flipped[self.axes.index(a)])
            for a in range(3)
        )
        thick = (across_k @ turned.reshape(len(turned), -1)).reshape(-1, *turned.shape[1:])
        source = np.empty(self.shape, np.float32)
        for k, plane in enumerate(thick):
            source[k] = across_j @ (across_i @ plane.T).T
        return source


def planar_to_grid(image: PlanarImage, size: int) -> tuple[NDArray[np.float32], PlanarPlacement]:
    """Squeeze to (3, size, size), normalised with CLIP's constants; grey becomes three equal channels.

    Bilinear with antialiasing on 8-bit values, equal to the published path.
    """
    eight_bit = np.empty(image.pixels.shape, np.uint8)
    for start in range(0, len(eight_bit), _BAND):
        band = slice(start, start + _BAND)
        eight_bit[band] = np.round(np.clip(image.pixels[band], 0, 1) * 255)
    picture = Image.fromarray(eight_bit).resize((size, size), Image.Resampling.BILINEAR)
    rgb = np.asarray(picture.convert("RGB"), np.float32) / np.float32(255)
    normalised = (rgb - np.asarray(CLIP_MEAN, np.float32)) / np.asarray(CLIP_STD, np.float32)
    rows, columns = image.pixels.shape[:2]
    return np.ascontiguousarray(normalised.transpose(2, 0, 1)), PlanarPlacement(rows, columns)


def volume_to_grid(volume: Volume, grid: tuple[int, int, int]) -> tuple[NDArray[np.float32], VolumePlacement]:
    """Turn to the canonical pose, clip to soft tissue, take nearest voxels, normalise: (1, D, I, J).

    Raises:
        AbstentionError: all voxels are equal after clipping, so there is nothing to see.
    """
    placement = placement_of(volume)
    clipped = np.clip(placement.to_grid(volume.voxels, grid), *HU_RANGE)
    return z_normalised(clipped)[None], placement


def nearest_end_aligned(voxels: NDArray[Any], grid: tuple[int, ...]) -> NDArray[Any]:
    """Take out[n] = in[floor(n (N_in - 1) / (N_out - 1) + 0.5)] along each axis: order-0 zoom, fixed ends."""
    picks = [_picks(n_in, n_out) for n_in, n_out in zip(voxels.shape, grid, strict=True)]
    return voxels[np.ix_(*picks)]


def z_normalised(voxels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Subtract the mean and divide by the unbiased deviation of the voxels brighter than the overall mean.

    Raises:
        AbstentionError: that deviation is zero.
    """
    values = torch.from_numpy(np.ascontiguousarray(voxels, np.float32))
    bright = values[values > values.mean()]
    deviation = bright.std() if bright.numel() > 1 else torch.zeros(())
    if not deviation > 0:
        raise AbstentionError("the volume shows no soft tissue contrast")
    return ((values - bright.mean()) / deviation).numpy()


def placement_of(volume: Volume) -> VolumePlacement:
    """Find which source axis runs closest to head-foot, left-right and front-back."""
    directions = volume.geometry.affine[:3, :3] / np.linalg.norm(volume.geometry.affine[:3, :3], axis=0)
    head_left_back = directions[[2, 0, 1]]
    head, left, back = max(
        itertools.permutations(range(3)),
        key=lambda order: sum(abs(head_left_back[n, a]) for n, a in enumerate(order)),
    )
    against = head_left_back[0, head] < 0, head_left_back[1, left] < 0, head_left_back[2, back] < 0
    flipped = bool(against[0]), bool(against[1]), bool(against[2])
    return VolumePlacement(volume.voxels.shape, (head, left, back), flipped)


def _picks(n_in: int, n_out: int) -> NDArray[np.intp]:
    return np.floor(np.arange(n_out) * ((n_in - 1) / max(n_out - 1, 1)) + 0.5).astype(np.intp)


def _weights(n_source: int, n_grid: int, *, flipped: bool) -> csr_array:
    """(n_source, n_grid): how much each voxel of the grid counts at each source voxel along one axis.

    A source voxel that was taken several times becomes the mean of what came of it.
    """
    picks = _picks(n_source, n_grid)
    taken, times = np.unique(picks, return_counts=True)
    shares = np.zeros((len(taken), n_grid))
    shares[np.searchsorted(taken, picks), np.arange(n_grid)] = 1
    shares /= times[:, None]
    at = np.arange(n_source, dtype=np.float64)
    halfway = np.flatnonzero(np.isin(2 * np.arange(n_source), taken[1:] + taken[:-1]))
    # Else a mask of zeros and ones would have its edge exactly at the threshold there, and grow on all sides.
    at[halfway[::2]] -= _NUDGE
    at[halfway[1::2]] += _NUDGE
    between = np.stack([np.interp(at, taken, row) for row in np.eye(len(taken))], axis=1)
    weights = (between @ shares).astype(np.float32)
    return csr_array(weights[::-1] if flipped else weights)


def _against(flipped: tuple[bool, bool, bool]) -> tuple[int, ...]:
    """Axes to turn round."""
    return tuple(n for n, f in enumerate(flipped) if f)

"""All volumes of a training run in memory, and their random variants on the network's grid."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.reading import ABDOMINAL_ORGANS
from model.training.phantoms.truth import AbdomenCase
from model.transforms import HU_RANGE, z_normalised

AIR_HU = -1000.0


@dataclass(frozen=True, slots=True, eq=False)
class VolumePool:
    """Volumes in the canonical pose of `model.transforms`: (D, I, J)."""

    voxels: list[NDArray[np.int16]]
    labels: list[NDArray[np.uint8]]
    """0 for background, n + 1 for `ABDOMINAL_ORGANS[n]`."""

    def whole(self, row: int, grid: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        """(1, D, I, J) as served, and (D, I, J) labels."""
        picks = [_even(0, n - 1, out) for n, out in zip(self.voxels[row].shape, grid, strict=True)]
        return self._cut(row, picks, np.random.default_rng(0), changed=False)

    def variant(
        self, row: int, grid: tuple[int, int, int], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draw a slab of the slices in a wider or narrower field of view, with other contrast and noise."""
        depth, width, height = self.voxels[row].shape
        kept = depth if rng.random() < 0.35 else int(rng.integers(min(14, depth), depth + 1))
        first = int(rng.integers(0, depth - kept + 1))
        zoom = rng.uniform(0.8, 1.2) * rng.uniform(0.96, 1.04, 2)
        middle = 0.5 + rng.uniform(-0.08, 0.08, 2)
        picks = [_even(first, first + kept - 1, grid[0])]
        for n, (size, out) in enumerate(((width, grid[1]), (height, grid[2]))):
            low = (middle[n] - zoom[n] / 2) * (size - 1)
            picks.append(_even(low, low + zoom[n] * (size - 1), out))
        return self._cut(row, picks, rng, changed=True)

    def _cut(
        self, row: int, picks: list[NDArray[np.intp]], rng: np.random.Generator, *, changed: bool
    ) -> tuple[Tensor, Tensor]:
        inside = [(p >= 0) & (p < n) for p, n in zip(picks, self.voxels[row].shape, strict=True)]
        bound = np.ix_(*(p.clip(0, n - 1) for p, n in zip(picks, self.voxels[row].shape, strict=True)))
        seen = inside[0][:, None, None] & inside[1][:, None] & inside[2]
        hu = np.where(seen, self.voxels[row][bound], AIR_HU).astype(np.float32)
        labels = np.where(seen, self.labels[row][bound], 0)
        if changed:
            hu = (hu - 40) * rng.uniform(0.8, 1.2) + 40 + rng.uniform(-20, 20)
            hu = hu + np.float32(rng.uniform(0, 14)) * rng.standard_normal(hu.shape).astype(np.float32)
        normal = z_normalised(np.clip(hu, *HU_RANGE).astype(np.float32))
        return torch.from_numpy(normal)[None], torch.from_numpy(labels.astype(np.int64))


def volume_pool_of(cases: Iterable[AbdomenCase]) -> VolumePool:
    """Gather phantoms, which lie in DICOM's axial order (K, J, I), as (K, I, J)."""
    voxels: list[NDArray[np.int16]] = []
    labels: list[NDArray[np.uint8]] = []
    for case in cases:
        voxels.append(np.round(case.voxels).astype(np.int16).transpose(0, 2, 1).copy())
        label = np.zeros(case.voxels.shape, np.uint8)
        for name, mask in case.masks.items():
            label[mask] = ABDOMINAL_ORGANS.index(name) + 1
        labels.append(label.transpose(0, 2, 1).copy())
    return VolumePool(voxels, labels)


def _even(low: float, high: float, n: int) -> NDArray[np.intp]:
    """n nearest indices with ends at `low` and `high`, as `transforms.nearest_end_aligned` takes them."""
    return np.floor(low + np.arange(n) * ((high - low) / (n - 1)) + 0.5).astype(np.intp)

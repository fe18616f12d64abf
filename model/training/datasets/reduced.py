"""Keeps volumes on a network's grid, so that training need not unpack whole scans for every example.

The paper trains on stored tensors of 192 x 192 x 64. Here they are NIfTI files in the pose and on the voxels
that `model.transforms` would take from the scan. Taking them again changes nothing, so whatever reads records
reads these as well, with the same result.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from model.errors import ImagingError, RowError
from model.training.datasets.dataset_reader import Case
from model.training.datasets.pixels import is_volume, load_volume, load_volume_masks
from model.training.datasets.prepared import Header, PreparedDataset
from model.training.datasets.record import SPLITS, Record, RecordImage, RecordMask
from model.training.datasets.record_index import RecordIndex
from model.training.datasets.shards import Progress, write_prepared
from model.transforms import HU_RANGE, VolumePlacement, placement_of
from model.volume import Volume

RELEASED_GRID = (64, 192, 192)
"""(D, I, J) of the released network."""


def reduce_volumes(
    dataset: PreparedDataset,
    out: Path,
    grid: tuple[int, int, int] = RELEASED_GRID,
    progress: Progress | None = None,
) -> Header:
    """Write a prepared dataset of volumes again, with the volumes and their masks on `grid` below `out`.

    Hounsfield units are clipped as the network sees them. A record whose scan cannot be read is left out;
    the header says why. Goes on where it was interrupted.

    Raises:
        DatasetError: `out` holds something else, or a shard is missing.
    """
    card = replace(
        dataset.header.card,
        preprocessing=(
            *dataset.header.card.preprocessing,
            f"Volumes were taken to {' x '.join(map(str, grid))} voxels and clipped to {HU_RANGE} HU.",
        ),
    )
    return write_prepared(card, list(_cases(dataset, out, grid)), out, source=out, progress=progress)


def _cases(dataset: PreparedDataset, out: Path, grid: tuple[int, int, int]) -> Iterator[Case]:
    for split in SPLITS:
        index = RecordIndex(dataset, split)
        for n in range(len(index)):
            yield Case(f"{split}/{n:06d}", partial(_reduced, index, n, out, grid))


def _reduced(index: RecordIndex, n: int, out: Path, grid: tuple[int, int, int]) -> Record:
    record, source = index[n], index.dataset.source
    images, masks = list(record.shown), list(record.masks)
    for place, image in enumerate(record.shown):
        if not is_volume(source, image):
            raise RowError("a record of pictures needs no reducing")
        stem = f"volumes/{index.split}-{n:06d}-{place}"
        own = [m for m, mask in enumerate(masks) if mask.image == place]
        try:
            volume = load_volume(source, image)
            voxels = load_volume_masks(source, tuple(masks[m] for m in own), volume)
        except ImagingError as exc:
            raise RowError(str(exc)) from exc
        images[place] = _written(volume, out, f"{stem}.nii.gz", grid)
        for m, mask in zip(own, voxels, strict=True):
            masks[m] = _written_mask(masks[m], mask, (volume, grid), (out, f"{stem}-mask{m}.nii.gz"))
    count = len(record.images)
    return replace(record, images=tuple(images[:count]), priors=tuple(images[count:]), masks=tuple(masks))


def _written(volume: Volume, out: Path, path: str, grid: tuple[int, int, int]) -> RecordImage:
    placement = placement_of(volume)
    hounsfield = np.clip(placement.to_grid(volume.voxels, grid), *HU_RANGE)
    whole = np.rint(hounsfield).astype(np.int16)
    stored = whole if np.array_equal(whole, hounsfield) else hounsfield.astype(np.float32)
    affine = _affine(volume, placement, grid)
    _write(stored, affine, out / path)
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    return RecordImage(path, None, (grid[1], grid[2]), (float(spacing_mm[2]), float(spacing_mm[1])))


def _written_mask(
    mask: RecordMask,
    voxels: NDArray[np.bool_],
    lies: tuple[Volume, tuple[int, int, int]],
    at: tuple[Path, str],
) -> RecordMask:
    (volume, grid), (out, path) = lies, at
    placement = placement_of(volume)
    _write(placement.to_grid(voxels, grid).astype(np.uint8), _affine(volume, placement, grid), out / path)
    return replace(mask, path=path, value=None)


def _affine(volume: Volume, placement: VolumePlacement, grid: Sequence[int]) -> NDArray[np.float64]:
    """Map (d, i, j) of the grid to LPS millimetres, as if its voxels were evenly spread between the ends."""
    first = np.array([0.0, 0.0, 0.0, 1.0])
    affine = np.eye(4)
    for n, (axis, flipped) in enumerate(zip(placement.axes, placement.flipped, strict=True)):
        last = placement.shape[axis] - 1
        step = last / max(grid[n] - 1, 1) or 1.0
        affine[:3, n] = volume.geometry.affine[:3, axis] * (-step if flipped else step)
        first[axis] = last if flipped else 0
    affine[:3, 3] = (volume.geometry.affine @ first)[:3]
    return affine


def _write(
    stored: NDArray[np.int16 | np.uint8 | np.float32], affine: NDArray[np.float64], path: Path
) -> None:
    """Write (D, I, J) with the axes of a file in the order i, j, d; a crash leaves no half file."""
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine[:, [1, 2, 0, 3]]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"part-{path.name}")
    nibabel.Nifti1Image(np.ascontiguousarray(stored.transpose(1, 2, 0)), to_ras).to_filename(part)
    part.replace(path)

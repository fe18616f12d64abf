"""Loads the pictures, volumes and masks that a record names, as serving would see them."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from model.errors import DatasetError, PixelError
from model.imaging.pixels import PICTURE_LIMIT, planar_image_from_dataset
from model.imaging.series import volume_from_series
from model.training.datasets.nifti import labels_from_nifti, volume_from_nifti
from model.training.datasets.record import RecordImage, RecordMask
from model.training.datasets.run_lengths import mask_of_runs
from model.volume import FrameKey, PlanarImage, View, Volume

_VIEWS: Mapping[str, View] = {
    **dict.fromkeys(("PA", "AP", "FRONTAL"), View.FRONTAL),
    **dict.fromkeys(("LATERAL", "LL", "RL"), View.LATERAL),
}
"""ViewPosition (0018,5101), and the words of datasets."""

_NIFTI = (".nii", ".nii.gz")
_PICTURES = (".png", ".jpg", ".jpeg")

_DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes of grey with more than 8 bits."""

_SAME_ASPECT = 0.02
"""Largest relative difference between the aspects of a picture and its mask where one was made smaller."""


def file_of(source: Path, path: str) -> Path:
    """Place a record's path below its source folder.

    Raises:
        DatasetError: it leads elsewhere.
    """
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts:
        raise DatasetError("a record names a file outside its source folder")
    return source / relative


def is_volume(source: Path, image: RecordImage) -> bool:
    """Whether the file is NIfTI, or a folder: one CT series."""
    return image.path.lower().endswith(_NIFTI) or file_of(source, image.path).is_dir()


def load_picture(source: Path, image: RecordImage) -> PlanarImage:
    """Load a PNG, JPEG or DICOM file as a reader sees it: 8 bits are taken as they are, more are windowed.

    The darkest and the brightest value of a picture of more than 8 bits become black and white. Boxes of
    records count on the picture that is returned; masks count stored pixels, see `load_planar_mask`.

    Raises:
        PixelError: the file is missing, of another kind, damaged or too large.
    """
    path = file_of(source, image.path)
    view = _VIEWS.get((image.view or "").upper(), View.UNKNOWN)
    if not path.name.lower().endswith(_PICTURES):
        return planar_image_from_dataset(_dataset(path), view=view)
    stored = _stored(path)
    low, high = (0, 255) if stored.dtype == np.uint8 else (int(stored.min()), int(stored.max()))
    pixels = stored.astype(np.float32)
    if low:
        pixels -= np.float32(low)
    pixels /= np.float32(max(high - low, 1))
    return PlanarImage(pixels, FrameKey(""), image.spacing_mm, view=view)


def load_volume(source: Path, image: RecordImage) -> Volume:
    """Load a NIfTI file, or the DICOM series that fills a folder.

    Raises:
        PixelError: a file is missing, of another kind, damaged or too large.
        GeometryError: the slices are no volume.
    """
    path = file_of(source, image.path)
    if not path.is_dir():
        return volume_from_nifti(path)
    return volume_from_series([_dataset(file) for file in sorted(path.iterdir()) if file.is_file()])


def load_planar_mask(source: Path, mask: RecordMask, image: PlanarImage) -> NDArray[np.bool_]:
    """Load the mask (J, I) of a picture, turned as the picture was.

    A mask that was drawn on a larger or smaller copy of the picture is fitted by nearest pixels.

    Raises:
        PixelError: the file is missing or damaged, or its aspect is another.
    """
    if mask.rle is not None:
        stored = mask_of_runs(mask.rle)
    elif mask.path is not None:
        values = _stored(file_of(source, mask.path), as_indices=True)
        values = values.max(axis=2) if values.ndim == 3 else values
        stored = values > 0 if mask.value is None else values == mask.value
    else:
        raise PixelError("a mask without a file and without runs")
    turned = image.orientation.apply(stored)
    return _fitted(turned, (image.pixels.shape[0], image.pixels.shape[1]))


def load_volume_masks(source: Path, masks: tuple[RecordMask, ...], volume: Volume) -> list[NDArray[np.bool_]]:
    """Load masks (K, J, I) of a volume; a file that several share is read once.

    Raises:
        PixelError: a file is missing or damaged.
        GeometryError: it does not lie on the voxels of `volume`.
    """
    maps: dict[str, NDArray[np.integer]] = {}
    for path in {mask.path for mask in masks if mask.path is not None}:
        maps[path] = labels_from_nifti(file_of(source, path), volume)
    found: list[NDArray[np.bool_]] = []
    for mask in masks:
        if mask.path is None:
            raise PixelError("a mask of a volume is a file")
        labels = maps[mask.path]
        found.append(labels > 0 if mask.value is None else labels == mask.value)
    return found


def _stored(path: Path, *, as_indices: bool = False) -> NDArray[np.uint8] | NDArray[np.int32]:
    """Read (J, I) or (J, I, 3) as stored, 8 bits or more; the colours of a palette, or their numbers."""
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > PICTURE_LIMIT:
                raise PixelError(f"a picture of {picture.width} x {picture.height} pixels is over the limit")
            if picture.mode in _DEEP:
                return np.asarray(picture, np.int32)
            if picture.mode in ("1", "L") or (picture.mode == "P" and as_indices):
                return np.asarray(picture.convert("L") if picture.mode == "1" else picture, np.uint8)
            return np.asarray(picture.convert("RGB"), np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as exc:
        raise PixelError("a picture is missing, damaged or of another kind") from exc


def _dataset(path: Path) -> Dataset:
    try:
        return dcmread(path)
    except (OSError, InvalidDicomError, EOFError) as exc:
        raise PixelError("a DICOM file is missing or damaged") from exc


def _fitted(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    if mask.shape == shape:
        return mask
    ratio = (mask.shape[0] / shape[0]) / (mask.shape[1] / shape[1])
    if abs(ratio - 1) > _SAME_ASPECT:
        raise PixelError("a mask and its picture are not of one shape")
    resized = Image.fromarray(mask).resize((shape[1], shape[0]), Image.Resampling.NEAREST)
    return np.asarray(resized, np.bool_)

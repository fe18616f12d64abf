"""A NIfTI file becomes a volume in DICOM's patient space."""

import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from model.errors import GeometryError, PixelError
from model.imaging.series import VOXEL_LIMIT
from model.volume import FrameKey, Geometry, Volume

_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""NIfTI counts millimetres to the right, the front and the head; DICOM to the left, the back and the head."""

_FROM_KJI = np.eye(4)[[2, 1, 0, 3]]
"""The last axis of a file comes first here."""

_SAME_MM = 0.1
"""Coordinates are stored as float32, some after a way through another format."""


def volume_from_nifti(path: Path) -> Volume:
    """Read one scan: voxels (K, J, I) float32 after the file's own scaling, Hounsfield units for CT.

    k, j, i are the third, second and first axis of the file, whatever way each runs; the affine says which.

    Raises:
        PixelError: it is no NIfTI file, is truncated, has not three dimensions or too many voxels.
        GeometryError: its affine is none.
    """
    image = _opened(path)
    voxels = np.ascontiguousarray(_voxels(image, np.float32).transpose(2, 1, 0))
    keys = tuple(FrameKey("", k + 1) for k in range(len(voxels)))
    return Volume(voxels, _geometry(image), keys)


def labels_from_nifti(path: Path, volume: Volume) -> NDArray[np.integer]:
    """Read the label map (K, J, I) of a scan.

    Raises:
        PixelError: as `volume_from_nifti`, or a value is no whole number.
        GeometryError: it does not lie on the voxels of `volume`.
    """
    image = _opened(path)
    stored = _voxels(image).transpose(2, 1, 0)
    if stored.shape != volume.voxels.shape:
        raise GeometryError("a label map and its scan differ in size")
    if not _lie_alike(_geometry(image), volume.geometry, stored.shape):
        raise GeometryError("a label map lies elsewhere than its scan")
    if stored.dtype.kind in "iu":
        return stored
    labels = np.rint(stored).astype(np.int32)
    if not np.array_equal(labels, stored):
        raise PixelError("a label map holds values between labels")
    return labels


def _opened(path: Path) -> nibabel.Nifti1Image:
    try:
        image = nibabel.load(path)
    except (ImageFileError, OSError, EOFError, ValueError) as exc:
        raise PixelError("not a NIfTI file") from exc
    if not isinstance(image, nibabel.Nifti1Image):
        raise PixelError("not a NIfTI file")
    return image


def _voxels(image: nibabel.Nifti1Image, dtype: type[np.float32] | None = None) -> NDArray[Any]:
    """Read (I, J, K) values, as stored if they are not scaled; axes of length 1 beyond these are dropped."""
    shape = image.shape
    if len(shape) < 3 or min(shape) < 1 or any(n != 1 for n in shape[3:]):
        raise PixelError("a NIfTI file without exactly three dimensions")
    if np.prod(shape) > VOXEL_LIMIT:
        raise PixelError(f"a volume of {' x '.join(map(str, shape))} voxels is over the limit")
    try:
        return np.asarray(image.dataobj, dtype).reshape(shape[:3])
    except (OSError, EOFError, ValueError, zlib.error) as exc:
        raise PixelError("a NIfTI file is truncated or damaged") from exc


def _geometry(image: nibabel.Nifti1Image) -> Geometry:
    affine = _TO_LPS @ np.asarray(image.affine, np.float64) @ _FROM_KJI
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise GeometryError("the affine of a NIfTI file is none")
    return Geometry(affine)


def _lie_alike(one: Geometry, other: Geometry, shape: tuple[int, ...]) -> bool:
    """Whether the corners of two grids of `shape` meet."""
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij"), np.float64).reshape(3, -1).T
    apart = np.linalg.norm(one.to_patient(ends) - other.to_patient(ends), axis=1)
    return bool(apart.max() <= max(_SAME_MM, 0.5 * min(other.spacing_mm)))

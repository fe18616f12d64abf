"""One CT series becomes one volume: stacked by geometry, never by file order or instance number."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from model.errors import GeometryError, PixelError
from model.imaging.decoding import stored_frames
from model.imaging.elements import items
from model.imaging.grayscale import modality_values, padding_mask, rescale
from model.imaging.slices import Slice, plane_tolerance, slices_of
from model.volume import FrameKey, Geometry, Orientation, Volume

FEWEST_SLICES = 3
"""Fewer slices are no volume."""

LARGEST_GAP = 1.5
"""In units of the usual distance between slices; a wider gap means that slices are missing."""

VOXEL_LIMIT = 512 * 2**20
"""Most voxels in one volume."""

AIR_HU = -1000.0
"""What padded pixels outside the scanner's field of view become."""


def volume_from_series(datasets: Sequence[Dataset]) -> Volume:
    """Stack the slices of one series into patient space.

    Voxels are Hounsfield units, (K, J, I) float32. k grows towards the head, j to the back, i to the
    patient's left, as nearly as the acquisition allows: the stored rows and columns are turned
    (`Volume.orientation`), never resampled. A tilted gantry or an oblique plane is exact in the affine, whose
    first column then is no longer at right angles to the others. Order of `datasets` does not matter.

    Raises:
        GeometryError: positions are missing, repeated, unevenly spaced or further apart than usual, planes
            are not parallel or not axial, or there are fewer than three.
        PixelError: an instance cannot be decoded, or its values are no Hounsfield units.
    """
    return volume_from_slices([one for ds in datasets for one in slices_of(ds)])


def volume_from_slices(slices: Sequence[Slice]) -> Volume:
    """Stack described slices; see `volume_from_series`."""
    ordered = ordered_slices(slices)
    orientation = axial_orientation(ordered[0])
    stored = stored_geometry(ordered)
    voxels = _voxels(ordered, orientation)
    return Volume(voxels, _turned(stored, orientation, ordered[0].shape), _keys(ordered), orientation)


def ordered_slices(slices: Sequence[Slice]) -> list[Slice]:
    """Sort slices from feet to head and check that they are one evenly spaced stack.

    Raises:
        GeometryError: as `volume_from_series`.
    """
    if len(slices) < FEWEST_SLICES:
        raise GeometryError(f"too few slices for a volume: {len(slices)}")
    first = slices[0]
    if any(not same_plane(one, first) for one in slices):
        raise GeometryError("slices differ in orientation, size or pixel spacing")
    upwards = first.normal if first.normal[2] >= 0 else -first.normal
    ordered = sorted(slices, key=lambda one: float(one.position_mm @ upwards))
    _check_spacing(np.array([one.position_mm for one in ordered]), upwards)
    return ordered


def same_plane(one: Slice, other: Slice) -> bool:
    """Whether two slices are parallel and on the same grid of pixels."""
    return bool((np.abs(one.plane - other.plane) <= plane_tolerance(other.plane)).all())


def is_axial(one: Slice) -> bool:
    """Whether the plane is nearer to transverse than to any other."""
    return int(np.argmax(np.abs(one.normal))) == 2


def tilt_degrees(volume: Volume) -> float:
    """The angle between the stacking direction and the slices' normal: the gantry's tilt, 0 for most."""
    k, j, i = volume.geometry.affine[:3, :3].T
    normal = np.cross(j, i)
    cosine = abs(k @ normal) / (np.linalg.norm(k) * np.linalg.norm(normal))
    return float(np.degrees(np.arccos(np.clip(cosine, 0, 1))))


def axial_orientation(one: Slice) -> Orientation:
    """How stored rows and columns are turned so that rows run to the patient's left, columns to the back.

    Raises:
        GeometryError: the plane is not axial.
    """
    if not is_axial(one):
        raise GeometryError("slices are not axial")
    transposed = bool(abs(one.row[0]) < abs(one.row[1]))
    left, back = (one.column, one.row) if transposed else (one.row, one.column)
    return Orientation(transposed, rows_flipped=bool(back[1] < 0), columns_flipped=bool(left[0] < 0))


def stored_geometry(ordered: Sequence[Slice]) -> Geometry:
    """Map (k, j, i) of the stored rows and columns to the patient (PS3.3 C.7.6.2.1.1).

    The step along k is the mean one, which also carries a gantry's tilt.
    """
    first, last = ordered[0], ordered[-1]
    affine = np.eye(4)
    affine[:3, 0] = (last.position_mm - first.position_mm) / (len(ordered) - 1)
    affine[:3, 1] = first.column * first.spacing_mm[0]
    affine[:3, 2] = first.row * first.spacing_mm[1]
    affine[:3, 3] = first.position_mm
    return Geometry(affine)


def _check_spacing(positions: NDArray[np.float64], upwards: NDArray[np.float64]) -> None:
    gaps = np.diff(positions @ upwards)
    usual = float(np.median(gaps))
    if usual <= 0 or gaps.min() < usual * 1e-2:
        raise GeometryError("slice positions are repeated")
    if gaps.max() > LARGEST_GAP * usual:
        raise GeometryError(f"a gap of {gaps.max():.2f} mm between slices that are {usual:.2f} mm apart")
    steps = np.arange(len(positions))[:, None]
    even = positions[0] + steps * (positions[-1] - positions[0]) / (len(positions) - 1)
    # Positions are often written with one decimal, so a tenth of a millimetre must always pass.
    if np.abs(positions - even).max() > max(0.1 * usual, 0.1):
        raise GeometryError("slices are unevenly spaced")


def _turned(stored: Geometry, orientation: Orientation, shape: tuple[int, int]) -> Geometry:
    rows, columns = shape[::-1] if orientation.transposed else shape
    to_turned = orientation.undo_geometry(Geometry(np.eye(4)), (rows, columns)).affine
    return Geometry(stored.affine @ np.linalg.inv(to_turned))


def _voxels(ordered: Sequence[Slice], orientation: Orientation) -> NDArray[np.float32]:
    rows, columns = ordered[0].shape
    if rows * columns * len(ordered) > VOXEL_LIMIT:
        raise PixelError(f"a volume of {columns} x {rows} x {len(ordered)} voxels is over the limit")
    grid = (columns, rows) if orientation.transposed else (rows, columns)
    voxels = np.empty((len(ordered), *grid), np.float32)
    for k, plane in _decoded(ordered):
        voxels[k] = orientation.apply(plane)
    return voxels


def _decoded(ordered: Sequence[Slice]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Decode each instance once, also where its frames are scattered over the stack."""
    by_instance: dict[int, list[int]] = {}
    for k, one in enumerate(ordered):
        by_instance.setdefault(id(one.ds), []).append(k)
    for places in by_instance.values():
        places.sort(key=lambda k: ordered[k].frame_index)
        frames = stored_frames(ordered[places[0]].ds, [ordered[k].frame_index for k in places])
        for k, stored in zip(places, frames, strict=True):
            yield k, hounsfield(ordered[k], stored)


def hounsfield(one: Slice, stored: NDArray[np.integer]) -> NDArray[np.float32]:
    """Map stored values of one slice to Hounsfield units; padding becomes air.

    Raises:
        PixelError: the slice is in colour, or its header says that its values are something else.
    """
    if stored.ndim != 2:
        raise PixelError("a CT slice in colour")
    if one.rescale_type not in ("", "HU", "US"):
        raise PixelError("values are not Hounsfield units")
    if items(one.ds, "ModalityLUTSequence"):
        values = modality_values(one.ds, stored)
    else:
        values = rescale(stored, one.slope, one.intercept)
    return np.where(padding_mask(one.ds, stored), AIR_HU, values).astype(np.float32)


def _keys(ordered: Sequence[Slice]) -> tuple[FrameKey, ...]:
    return tuple(one.key for one in ordered)

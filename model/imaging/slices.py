"""Describes every slice of a CT the same way: an instance of its own, or a frame of an enhanced one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from model.errors import GeometryError
from model.imaging.decoding import describe_pixels
from model.imaging.elements import integer, items, number, numbers, text, values
from model.volume import FrameKey


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One cross-section with its place (PS3.3 C.7.6.2.1.1); its pixels are still undecoded."""

    ds: Dataset
    frame_index: int
    """Counts from 0; 0 for a single-frame instance."""
    position_mm: NDArray[np.float64]
    """(3,): LPS of the centre of the first pixel."""
    row: NDArray[np.float64]
    """(3,): unit vector along which the column index grows."""
    column: NDArray[np.float64]
    """(3,): unit vector along which the row index grows."""
    spacing_mm: tuple[float, float]
    """Between rows, between columns."""
    shape: tuple[int, int]
    slope: float | None
    intercept: float | None
    rescale_type: str
    acquisition: str
    """Acquisition Number, content and temporal position: what tells the phases of one series apart."""

    @property
    def key(self) -> FrameKey:
        return FrameKey(text(self.ds, "SOPInstanceUID"), self.frame_index + 1)

    @property
    def normal(self) -> NDArray[np.float64]:
        return np.cross(self.row, self.column)


def slices_of(ds: Dataset) -> list[Slice]:
    """Describe the slices of one instance, classic or enhanced, in stored order.

    Raises:
        GeometryError: a frame has no position, orientation or spacing, or these make no sense.
        PixelError: the pixel description makes no sense.
    """
    description = describe_pixels(ds)
    shape = (description.rows, description.columns)
    shared, per_frame = (
        items(ds, "SharedFunctionalGroupsSequence"),
        items(ds, "PerFrameFunctionalGroupsSequence"),
    )
    if not per_frame:
        if description.frames > 1:
            raise GeometryError("a multi-frame instance without per-frame positions")
        return [_slice(ds, 0, [ds], shape)]
    if len(per_frame) != description.frames:
        raise GeometryError(f"{len(per_frame)} functional groups for {description.frames} frames")
    return [_slice(ds, n, [group, *shared, ds], shape) for n, group in enumerate(per_frame)]


def _slice(ds: Dataset, index: int, groups: Sequence[Dataset], shape: tuple[int, int]) -> Slice:
    """`groups` are searched in order: the frame's own functional groups, the shared ones, the instance."""
    position = _found(groups, "PlanePositionSequence", "ImagePositionPatient", 3)
    directions = _found(groups, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
    spacing = _found(groups, "PixelMeasuresSequence", "PixelSpacing", 2)
    if min(spacing) <= 0:
        raise GeometryError("Pixel Spacing is not positive")
    row, column = np.array(directions[:3]), np.array(directions[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not np.allclose(lengths, 1, atol=1e-2) or abs(row @ column) > 1e-2:
        raise GeometryError("Image Orientation (Patient) is not a pair of orthogonal unit vectors")
    rescaling = _group(groups, "PixelValueTransformationSequence")
    return Slice(
        ds=ds,
        frame_index=index,
        position_mm=np.array(position),
        row=row / lengths[0],
        column=column / lengths[1],
        spacing_mm=(spacing[0], spacing[1]),
        shape=shape,
        slope=number(rescaling, "RescaleSlope"),
        intercept=number(rescaling, "RescaleIntercept"),
        rescale_type=text(rescaling, "RescaleType").upper(),
        acquisition=_acquisition(groups),
    )


def _found(groups: Sequence[Dataset], sequence: str, keyword: str, count: int) -> tuple[float, ...]:
    found = numbers(_group(groups, sequence), keyword, count)
    if found is None:
        raise GeometryError(f"{keyword} is missing or malformed")
    return found


def _group(groups: Sequence[Dataset], sequence: str) -> Dataset:
    """The functional group macro of a frame (PS3.3 C.7.6.16); for a classic instance the instance itself."""
    for group in groups:
        found = items(group, sequence)
        if found:
            return found[0]
    return groups[-1]


def _acquisition(groups: Sequence[Dataset]) -> str:
    content = _group(groups, "FrameContentSequence")
    parts = [
        integer(content, "FrameAcquisitionNumber") or integer(groups[-1], "AcquisitionNumber"),
        integer(content, "TemporalPositionIndex") or integer(groups[-1], "TemporalPositionIdentifier"),
    ]
    frame_type = values(_group(groups, "CTImageFrameTypeSequence"), "FrameType")
    return "/".join([*(str(part) for part in parts), *frame_type])

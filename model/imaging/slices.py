"""Describes every slice of a CT the same way: an instance of its own, or a frame of an enhanced one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from model.errors import GeometryError
from model.imaging.decoding import describe_pixels
from model.imaging.elements import integer, number, numbers, text, values
from model.imaging.functional_groups import groups_of_frames, macro
from model.volume import FrameKey

_PARALLEL = 1e-3
"""Largest difference between direction cosines of slices of one stack."""


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
    acquisition: tuple[int, int]
    """Acquisition Number and temporal position, -1 if unknown: what tells the phases of one series apart."""
    stack: tuple[str, ...]
    """Series, frame of reference, Stack ID and Frame Type: only slices that share them can be one volume."""
    frame_type: tuple[str, ...]
    kernel: str

    @property
    def key(self) -> FrameKey:
        return FrameKey(text(self.ds, "SOPInstanceUID"), self.frame_index + 1)

    @property
    def plane(self) -> NDArray[np.float64]:
        """(10,): rows, columns, spacing and directions; slices of one volume agree in these."""
        return np.array([*self.shape, *self.spacing_mm, *self.row, *self.column])

    @property
    def normal(self) -> NDArray[np.float64]:
        return np.cross(self.row, self.column)


def plane_tolerance(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far two planes may differ in each number and still be the same; spacing by a thousandth."""
    return np.array([0.5, 0.5, *(_PARALLEL * plane[2:4]), *[_PARALLEL] * 6])


def slices_of(ds: Dataset) -> list[Slice]:
    """Describe the slices of one instance, classic or enhanced, in stored order.

    Raises:
        GeometryError: a frame has no position, orientation or spacing, or these make no sense.
        PixelError: the pixel description makes no sense.
    """
    description = describe_pixels(ds)
    shape = (description.rows, description.columns)
    per_frame = groups_of_frames(ds)
    if not per_frame:
        if description.frames > 1:
            raise GeometryError("a multi-frame instance without per-frame positions")
        return [_slice(ds, 0, [ds], shape)]
    if len(per_frame) != description.frames:
        raise GeometryError(f"{len(per_frame)} functional groups for {description.frames} frames")
    return [_slice(ds, n, groups, shape) for n, groups in enumerate(per_frame)]


def _slice(ds: Dataset, index: int, groups: Sequence[Dataset], shape: tuple[int, int]) -> Slice:
    position = _found(groups, "PlanePositionSequence", "ImagePositionPatient", 3)
    directions = _found(groups, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
    spacing = _found(groups, "PixelMeasuresSequence", "PixelSpacing", 2)
    if min(spacing) <= 0:
        raise GeometryError("Pixel Spacing is not positive")
    row, column = np.array(directions[:3]), np.array(directions[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not np.allclose(lengths, 1, atol=1e-2) or abs(row @ column) > 1e-2:
        raise GeometryError("Image Orientation (Patient) is not a pair of orthogonal unit vectors")
    frame_type = values(macro(groups, "CTImageFrameTypeSequence"), "FrameType")
    rescaling = macro(groups, "PixelValueTransformationSequence")
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
        stack=(*_stack(groups), *frame_type),
        frame_type=frame_type,
        kernel=text(macro(groups, "CTReconstructionSequence"), "ConvolutionKernel").upper(),
    )


def _found(groups: Sequence[Dataset], sequence: str, keyword: str, count: int) -> tuple[float, ...]:
    found = numbers(macro(groups, sequence), keyword, count)
    if found is None:
        raise GeometryError(f"{keyword} is missing or malformed")
    return found


def _acquisition(groups: Sequence[Dataset]) -> tuple[int, int]:
    content, ds = macro(groups, "FrameContentSequence"), groups[-1]
    acquisition = integer(content, "FrameAcquisitionNumber") or integer(ds, "AcquisitionNumber")
    temporal = integer(content, "TemporalPositionIndex") or integer(ds, "TemporalPositionIdentifier")
    return -1 if acquisition is None else acquisition, -1 if temporal is None else temporal


def _stack(groups: Sequence[Dataset]) -> tuple[str, ...]:
    ds = groups[-1]
    return (
        text(ds, "SeriesInstanceUID"),
        text(ds, "FrameOfReferenceUID"),
        text(macro(groups, "FrameContentSequence"), "StackID"),
    )

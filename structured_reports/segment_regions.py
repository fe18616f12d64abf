"""The segments of one frame, read from segmentations of any maker: binary, fractional or a label map."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from highdicom.color import CIELabColor
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from structured_reports.colours import FINDING_COLOUR, RGB

_SAME_PLACE_MM = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One segment on the image."""

    label: str
    colour: RGB
    mask: NDArray[np.bool_]
    """(Rows, Columns)."""


def regions_on(segmentation: Dataset, image: Dataset, frame_number: int) -> Iterator[Region]:
    """Yield what a segmentation marks on one frame of an image.

    A frame of the segmentation belongs to the frame that it names as its source; where none of its frames
    names one, to the image that lies in the same plane and has the same size.
    """
    segments = {int(segment.SegmentNumber): segment for segment in segmentation.SegmentSequence}
    frames = list(segmentation.PerFrameFunctionalGroupsSequence)
    named = [_names(own, segmentation, str(image.SOPInstanceUID), frame_number) for own in frames]
    if not any(map(_has_source, frames)) and not _has_source(_shared(segmentation)):
        named = [_lies_on(own, segmentation, image, frame_number) for own in frames]
    for index, own in enumerate(frames):
        if named[index]:
            pixels = pixel_array(segmentation, index=index)
            yield from _regions(pixels, segments, _segment_number(own, segmentation))


def _regions(
    pixels: NDArray[np.generic], segments: dict[int, Dataset], number: int | None
) -> Iterator[Region]:
    """One segment has the frame to itself; without a number the pixels are the numbers (a label map)."""
    if number is not None:
        yield _region(segments[number], pixels != 0)
        return
    for found in np.unique(pixels).tolist():
        if found in segments and found != 0:
            yield _region(segments[found], pixels == found)


def _region(segment: Dataset, mask: NDArray[np.bool_]) -> Region:
    return Region(str(segment.get("SegmentLabel") or "segment"), segment_colour(segment), mask)


def segment_colour(segment: Dataset) -> RGB:
    """Give the colour that a segment recommends for itself."""
    value = segment.get("RecommendedDisplayCIELabValue")
    if value is None:
        return FINDING_COLOUR
    red, green, blue = CIELabColor.from_dicom_value(list(value)).to_rgb()
    return int(red), int(green), int(blue)


def names_frame(reference: Dataset, uid: str, frame_number: int) -> bool:
    """Say whether a reference is to one frame of an instance; without frame numbers it is to all."""
    if str(reference.get("ReferencedSOPInstanceUID")) != uid:
        return False
    numbers = reference.get("ReferencedFrameNumber")
    if numbers is None:
        return True
    return frame_number in ([int(numbers)] if isinstance(numbers, int | str) else [int(n) for n in numbers])


def source_references(own: Dataset) -> list[Dataset]:
    """List the source images that functional groups name (PS3.3 C.7.6.16.2.6)."""
    return [
        source
        for item in own.get("DerivationImageSequence", ())
        for source in item.get("SourceImageSequence", ())
    ]


def _has_source(own: Dataset) -> bool:
    return bool(source_references(own))


def _names(own: Dataset, segmentation: Dataset, uid: str, frame_number: int) -> bool:
    sources = source_references(own) or source_references(_shared(segmentation))
    return any(names_frame(source, uid, frame_number) for source in sources)


def _lies_on(own: Dataset, segmentation: Dataset, image: Dataset, frame_number: int) -> bool:
    """Compare position, orientation and size; what has no place in the patient lies on nothing."""
    if (segmentation.Rows, segmentation.Columns) != (image.Rows, image.Columns):
        return False
    there, here = _plane(own, _shared(segmentation)), _plane(*_frame_groups(image, frame_number))
    return there is not None and here is not None and np.allclose(there, here, atol=_SAME_PLACE_MM)


def _plane(*holders: Dataset) -> NDArray[np.float64] | None:
    position = _first(holders, "PlanePositionSequence", "ImagePositionPatient")
    orientation = _first(holders, "PlaneOrientationSequence", "ImageOrientationPatient")
    if position is None or orientation is None:
        return None
    return np.array([*position, *orientation], dtype=np.float64)


def _first(holders: Sequence[Dataset], sequence: str, keyword: str) -> list[float] | None:
    for holder in holders:
        for item in (*holder.get(sequence, ()), holder):
            if item.get(keyword):
                return [float(value) for value in item[keyword].value]
    return None


def _frame_groups(image: Dataset, frame_number: int) -> list[Dataset]:
    own = list(image.get("PerFrameFunctionalGroupsSequence", ()))[frame_number - 1 : frame_number]
    return [*own, *image.get("SharedFunctionalGroupsSequence", ()), image]


def _shared(segmentation: Dataset) -> Dataset:
    return next(iter(segmentation.get("SharedFunctionalGroupsSequence", ())), Dataset())


def _segment_number(own: Dataset, segmentation: Dataset) -> int | None:
    for holder in (own, _shared(segmentation)):
        for item in holder.get("SegmentIdentificationSequence", ()):
            return int(item.ReferencedSegmentNumber)
    return None

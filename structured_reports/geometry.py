"""From the model's boxes and masks to DICOM coordinates and frames: the only place that knows both."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from model.reading import BoundingBox, Mask
from structured_reports.errors import CoordinatesError

LEAST_SIDE = 1.0
"""Pixels; a smaller box is not a region."""


def rectangle(box: BoundingBox, header: Dataset) -> NDArray[np.float64]:
    """Turn a box into a closed polyline of (column, row) points, (5, 2), clockwise from the top left.

    Sub-pixel coordinates as of SCOORD and GSPS units PIXEL: (0, 0) is the outer corner of the first pixel and
    the far edge is at (Columns, Rows) (PS3.3 C.18.6.1.1, C.10.5.1.2). What lies outside is cut off.

    Raises:
        CoordinatesError: not finite, inverted, or less than a pixel of it lies inside the image.
    """
    if not all(math.isfinite(value) for value in (*box.low, *box.high)):
        raise CoordinatesError("a box has coordinates that are not finite")
    rows, columns = int(header.Rows), int(header.Columns)
    top, bottom = max(0.0, box.low[0]), min(float(rows), box.high[0])
    left, right = max(0.0, box.low[1]), min(float(columns), box.high[1])
    if bottom - top < LEAST_SIDE or right - left < LEAST_SIDE:
        raise CoordinatesError("a box is inverted, too small or outside its image")
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return np.array(corners, dtype=np.float64)


def stacked(mask: Mask, sources: Sequence[Dataset]) -> NDArray[np.bool_]:
    """Put a mask's slices into the order of its sources' frames, (frames, Rows, Columns).

    `sources` is either single-frame headers, or one multi-frame header, whose frames are counted from 1.

    Raises:
        CoordinatesError: the mask does not fit the frames it names.
    """
    rows, columns = int(sources[0].Rows), int(sources[0].Columns)
    if mask.voxels.shape != (len(mask.frames), rows, columns):
        raise CoordinatesError("a mask differs in size from the frames it names")
    count = number_of_frames(sources[0]) if len(sources) == 1 else len(sources)
    stack = np.zeros((count, rows, columns), dtype=np.bool_)
    places = {str(ds.SOPInstanceUID): place for place, ds in enumerate(sources)}
    for voxels, frame in zip(mask.voxels, mask.frames, strict=True):
        place = places[frame.sop_instance_uid] if len(sources) > 1 else frame.frame_number - 1
        if not 0 <= place < count:
            raise CoordinatesError("a mask names a frame that its source does not have")
        stack[place] |= voxels
    return stack


def planar(mask: Mask, source: Dataset) -> NDArray[np.bool_]:
    """Give the one slice of a mask on a projection image or photograph, (1, Rows, Columns).

    Raises:
        CoordinatesError: it is not one slice of the size of its image, or of a frame that is not there.
    """
    if mask.voxels.shape != (1, int(source.Rows), int(source.Columns)):
        raise CoordinatesError("a mask differs in size from the frames it names")
    if not 1 <= mask.frames[0].frame_number <= number_of_frames(source):
        raise CoordinatesError("a mask names a frame that its source does not have")
    return mask.voxels


def number_of_frames(ds: Dataset) -> int:
    return int(ds.get("NumberOfFrames") or 1)


def is_multi_frame(ds: Dataset) -> bool:
    """Say whether references to `ds` name frames: more than one frame, or functional groups.

    Some single-frame images say Number of Frames 1; a frame number would make references to them illegal.
    """
    return number_of_frames(ds) > 1 or "PerFrameFunctionalGroupsSequence" in ds


def frame_numbers(ds: Dataset, frame_number: int) -> list[int] | None:
    """Name a frame as references do; None for a single-frame instance (PS3.3 C.17.3)."""
    return [frame_number] if is_multi_frame(ds) else None


def pixel_area_mm2(header: Dataset) -> float | None:
    """Give the area of one pixel in the plane of the patient; None where the header does not say it."""
    spacing = header.get("PixelSpacing")
    if not spacing or len(spacing) != 2:
        return None
    area = float(spacing[0]) * float(spacing[1])
    return area if math.isfinite(area) and area > 0 else None

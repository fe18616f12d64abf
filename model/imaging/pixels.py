"""One radiograph or photograph: a DICOM instance becomes what a reader sees, hung as a reader hangs it."""

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset

from model.errors import PixelError
from model.imaging.decoding import describe_pixels, stored_frames
from model.imaging.elements import numbers, text, values
from model.imaging.grayscale import display_values
from model.volume import UPRIGHT, FrameKey, Orientation, PlanarImage

PICTURE_LIMIT = 100 * 2**20
"""Most pixels of one picture; the largest detectors have a third of that."""


def planar_image_from_dataset(ds: Dataset, frame_number: int = 1) -> PlanarImage:
    """Render one frame of an instance.

    Grey is what the header's Modality LUT, VOI LUT and polarity make of it. A radiograph whose Patient
    Orientation says so is turned to the standard hanging: image left is the patient's right, the head is up.

    Raises:
        PixelError: the pixels cannot be decoded, are not as the header declares, or are too many.
    """
    description = describe_pixels(ds)
    if description.rows * description.columns > PICTURE_LIMIT:
        raise PixelError(f"a picture of {description.columns} x {description.rows} pixels is over the limit")
    if not 0 < frame_number <= description.frames:
        raise PixelError(f"no frame {frame_number} of {description.frames}")
    stored = next(stored_frames(ds, [frame_number - 1]))
    shown = display_values(ds, stored)
    if shown.ndim == 3 and np.array_equal(shown[..., 0], shown[..., 1]):
        shown = shown[..., 0] if np.array_equal(shown[..., 1], shown[..., 2]) else shown
    orientation = UPRIGHT if shown.ndim == 3 else radiograph_orientation(values(ds, "PatientOrientation"))
    spacing = _spacing_mm(ds)
    if spacing is not None and orientation.transposed:
        spacing = (spacing[1], spacing[0])
    return PlanarImage(
        np.ascontiguousarray(orientation.apply(shown)),
        FrameKey(text(ds, "SOPInstanceUID"), frame_number),
        spacing,
        orientation,
    )


def radiograph_orientation(patient_orientation: Sequence[str]) -> Orientation:
    """How a frontal image must be turned so that rows run to the patient's left and columns to the feet.

    `patient_orientation` is Patient Orientation (PS3.3 C.7.6.1.1.1): the directions of the rows and of the
    columns, the main one first (`LF` is left, a little towards the feet). What names no frontal view leaves
    the image as it is.
    """
    if not states_hanging(patient_orientation):
        return UPRIGHT
    row, column = (direction[:1] for direction in patient_orientation)
    if row in "LR":
        return Orientation(rows_flipped=column == "H", columns_flipped=row == "R")
    return Orientation(transposed=True, rows_flipped=row == "H", columns_flipped=column == "R")


def states_hanging(patient_orientation: Sequence[str]) -> bool:
    """Whether Patient Orientation fixes left and right, head and feet of a frontal image."""
    axes = ["LR" if direction[:1] in "LR" else "FH" for direction in patient_orientation]
    known = all(direction[:1] in ("L", "R", "F", "H") for direction in patient_orientation)
    return known and sorted(axes) == ["FH", "LR"]


def _spacing_mm(ds: Dataset) -> tuple[float, float] | None:
    """Row and column spacing: at the patient if the header knows it, else at the detector."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        found = numbers(ds, keyword, 2)
        if found is not None and min(found) > 0:
            return found[0], found[1]
    return None

"""One radiograph or photograph: a DICOM instance becomes what a reader sees, hung as a reader hangs it."""

import numpy as np
from pydicom.dataset import Dataset

from model.errors import PixelError
from model.imaging.decoding import describe_pixels, stored_frames
from model.imaging.elements import numbers, text, values
from model.imaging.functional_groups import groups_of_frame, macro
from model.imaging.grayscale import display_values
from model.imaging.views import frontal_orientation, lateral_orientation
from model.volume import UPRIGHT, FrameKey, PlanarImage, View

PICTURE_LIMIT = 50 * 2**20
"""Most pixels of one picture; the largest detectors have a third of that."""


def planar_image_from_dataset(
    ds: Dataset, frame_number: int = 1, *, view: View = View.UNKNOWN
) -> PlanarImage:
    """Render one frame of an instance.

    Grey is what the header's Modality LUT, VOI LUT and polarity make of it. A radiograph whose Patient
    Orientation says so is turned to the standard hanging: image left is the patient's right, the head is up.
    A lateral one is only rotated.

    Raises:
        PixelError: the pixels cannot be decoded, are not as the header declares, or are too many.
    """
    description = describe_pixels(ds)
    if description.rows * description.columns > PICTURE_LIMIT:
        raise PixelError(f"a picture of {description.columns} x {description.rows} pixels is over the limit")
    if not 0 < frame_number <= description.frames:
        raise PixelError(f"no frame {frame_number} of {description.frames}")
    stored = next(stored_frames(ds, [frame_number - 1]))
    shown = display_values(ds, stored, frame_number - 1)
    if shown.ndim == 3 and np.array_equal(shown[..., 0], shown[..., 1]):
        shown = shown[..., 0] if np.array_equal(shown[..., 1], shown[..., 2]) else shown
    turned = lateral_orientation if view is View.LATERAL else frontal_orientation
    orientation = UPRIGHT if shown.ndim == 3 else turned(values(ds, "PatientOrientation"))
    spacing = _spacing_mm(ds, frame_number - 1)
    if spacing is not None and orientation.transposed:
        spacing = (spacing[1], spacing[0])
    return PlanarImage(
        np.ascontiguousarray(orientation.apply(shown)),
        FrameKey(text(ds, "SOPInstanceUID"), frame_number),
        spacing,
        orientation,
        view,
    )


def _spacing_mm(ds: Dataset, index: int) -> tuple[float, float] | None:
    """Row and column spacing: at the patient if the header knows it, else at the detector."""
    measures = macro(groups_of_frame(ds, index), "PixelMeasuresSequence")
    for header, keyword in ((measures, "PixelSpacing"), (ds, "PixelSpacing"), (ds, "ImagerPixelSpacing")):
        found = numbers(header, keyword, 2)
        if found is not None and min(found) > 0:
            return found[0], found[1]
    return None

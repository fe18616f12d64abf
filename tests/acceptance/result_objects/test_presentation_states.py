"""Checks 8 to 11: a presentation state shows its image as the image itself does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import (
    ColorSoftcopyPresentationStateStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)

from structured_reports.registry import write_results
from tests.acceptance.result_objects.objects import OBJECTS, with_pixels, write
from tests.acceptance.result_objects.programs import program, run
from tests.unit.structured_reports.readings import RUN, chest_reading, header, only, sources

LUNG, REST = np.s_[15:45, 8:18], np.s_[15:45, 25:45]


def state_of(ds: Dataset, *, with_boxes: bool = True) -> Dataset:
    reading = replace(chest_reading(ds), masks=())
    reading = reading if with_boxes else replace(reading, boxes=())
    return only(write_results(reading, sources(ds), RUN), "PR")


def shown(polarity: str, folder: Path) -> NDArray[np.uint8]:
    """Let DCMTK draw a dark lung in a bright body through our presentation state, (64, 48)."""
    ds = with_pixels(header(PhotometricInterpretation=polarity))
    pixels = np.full((64, 48), 3500, dtype="<u2")
    pixels[10:50, 5:20] = 600
    ds.PixelData = (pixels if polarity == "MONOCHROME2" else 4095 - pixels).tobytes()
    state, image = write(state_of(ds, with_boxes=False), folder), write(ds, folder)
    found = run(program("dcmp2pgm"), "-p", state, image, folder / "out.pgm")
    assert found.returncode == 0, found.stderr
    return np.frombuffer((folder / "out.pgm").read_bytes()[-64 * 48 :], dtype=np.uint8).reshape(64, 48)


def test_check_08_an_inverted_image_looks_the_same_through_its_presentation_state(tmp_path: Path):
    twins = [shown(polarity, tmp_path) for polarity in ("MONOCHROME2", "MONOCHROME1")]
    lungs = [float(twin[LUNG].mean()) for twin in twins]
    assert abs(lungs[0] - lungs[1]) <= 5
    assert all(lung < twin[REST].mean() for lung, twin in zip(lungs, twins, strict=True))


def test_check_09_of_two_windows_one_is_presented():
    (voi,) = state_of(header(WindowCenter=[40, 400], WindowWidth=[350, 1500])).SoftcopyVOILUTSequence
    assert not isinstance(voi.WindowCenter, MultiValue)
    assert (float(voi.WindowCenter), float(voi.WindowWidth)) == (40, 350)


@pytest.mark.parametrize("window", [{}, {"WindowCenter": None, "WindowWidth": None}], ids=["window", "none"])
def test_check_10_a_classic_multi_frame_image_is_named_with_one_frame(window: dict[str, None]):
    ds = header(MultiFrameGrayscaleWordSecondaryCaptureImageStorage, NumberOfFrames=3, **window)
    for annotation in state_of(ds).GraphicAnnotationSequence:
        (image,) = annotation.ReferencedImageSequence
        assert image.ReferencedFrameNumber == 1


def test_check_11_a_colour_image_gets_a_small_state_with_the_profile_of_an_input_device(tmp_path: Path):
    state = OBJECTS["CSPS of dermoscopy"]()
    assert state.SOPClassUID == ColorSoftcopyPresentationStateStorage
    # ICC.1:2010, 7.2.5: the class of the profile stands in bytes 12 to 15.
    assert state.ICCProfile[12:16] == b"scnr"
    assert write(state, tmp_path).stat().st_size < 10_000

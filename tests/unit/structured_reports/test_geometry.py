"""Boxes and masks reach DICOM coordinates unharmed, or not at all."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.reading import BoundingBox, Mask
from model.volume import FrameKey
from structured_reports.errors import CoordinatesError
from structured_reports.geometry import frame_numbers, pixel_area_mm2, rectangle, stacked
from tests.unit.structured_reports.readings import ct_slices, header, key

FRAME = FrameKey("1.2.3.4.1.1")


def box(low: tuple[float, float], high: tuple[float, float]) -> BoundingBox:
    return BoundingBox("lung nodule", FRAME, low, high)


def test_box_becomes_a_closed_polyline_of_columns_and_rows():
    # Columns 10 to 19 and rows 20 to 39 of an array: the far edges are at 20 and 40.
    points = rectangle(box((20, 10), (40, 20)), header())
    assert points.tolist() == [[10, 20], [20, 20], [20, 40], [10, 40], [10, 20]]


def test_box_over_the_whole_image_reaches_columns_and_rows():
    points = rectangle(box((0, 0), (64, 48)), header(Rows=64, Columns=48))
    assert points.max(axis=0).tolist() == [48, 64]


def test_box_that_leaves_the_image_is_cut_at_its_edge():
    points = rectangle(box((-5, -5), (1000, 10)), header(Rows=64, Columns=48))
    assert (points.min(), points[:, 1].max()) == (0, 64)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ((float("nan"), 0), (10, 10)),
        ((0, 0), (float("inf"), 10)),
        ((10, 10), (5, 20)),
        ((10, 10), (10.5, 20)),
        ((100, 0), (120, 10)),
    ],
    ids=["nan", "infinite", "inverted", "thinner than a pixel", "outside"],
)
def test_box_that_is_no_region_of_the_image_is_refused(low: tuple[float, float], high: tuple[float, float]):
    with pytest.raises(CoordinatesError):
        rectangle(box(low, high), header(Rows=64, Columns=48))


def test_mask_slices_follow_their_sources_not_their_order():
    slices = ct_slices(3)
    voxels = np.zeros((3, 64, 48), dtype=bool)
    voxels[0, 1, 1] = True
    mask = Mask("liver", voxels, tuple(key(ds) for ds in slices[::-1]))
    stack = stacked(mask, slices)
    assert stack[2, 1, 1]
    assert stack.sum() == 1


def test_mask_of_a_multi_frame_source_is_placed_by_frame_number():
    source = header(NumberOfFrames=4)
    voxels = np.ones((2, 64, 48), dtype=bool)
    mask = Mask("liver", voxels, (FrameKey("1.2.3.4.1.1", 4), FrameKey("1.2.3.4.1.1", 2)))
    assert stacked(mask, [source]).any(axis=(1, 2)).tolist() == [False, True, False, True]


def test_mask_of_another_size_is_refused():
    mask = Mask("liver", np.ones((1, 10, 10), dtype=bool), (FRAME,))
    with pytest.raises(CoordinatesError):
        stacked(mask, [header()])


def test_mask_on_a_frame_that_does_not_exist_is_refused():
    mask = Mask("liver", np.ones((1, 64, 48), dtype=bool), (replace(FRAME, frame_number=2),))
    with pytest.raises(CoordinatesError):
        stacked(mask, [header()])


def test_frame_numbers_are_named_for_multi_frame_images_only():
    assert frame_numbers(header(), 1) is None
    assert frame_numbers(header(NumberOfFrames=1), 1) is None
    assert frame_numbers(header(NumberOfFrames=3), 2) == [2]


def test_area_of_a_pixel():
    assert pixel_area_mm2(header(PixelSpacing=[0.5, 0.2])) == pytest.approx(0.1)
    assert pixel_area_mm2(header(PixelSpacing=None)) is None
    assert pixel_area_mm2(header(PixelSpacing=[0, 0])) is None


@given(corners=st.tuples(*[st.floats(-1e6, 1e6) for _ in range(4)]))
def test_any_box_is_refused_or_a_closed_region_of_the_image(corners: tuple[float, float, float, float]):
    top, left, bottom, right = corners
    try:
        points = rectangle(box((top, left), (bottom, right)), header(Rows=64, Columns=48))
    except CoordinatesError:
        return
    assert (points >= 0).all()
    assert (points <= [48, 64]).all()
    assert points[0].tolist() == points[-1].tolist()
    assert (points.max(axis=0) - points.min(axis=0) >= 1).all()

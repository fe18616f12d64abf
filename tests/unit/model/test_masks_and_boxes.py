"""What of a family's mask and box is kept, and which side it gets."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model.boxes import bounding_box
from model.reading import Laterality
from model.segments import mask_on_source, mask_voxels, volume_ml
from model.volume import FrameKey, Geometry, PlanarImage, View, Volume


def probabilities(*blocks: tuple[slice, slice, slice]) -> NDArray[np.float32]:
    found = np.full((10, 20, 30), 0.49, np.float32)
    for block in blocks:
        found[block] = 0.5
    return found


LARGE = (slice(2, 8), slice(2, 9), slice(3, 12))
OTHER = (slice(3, 8), slice(12, 18), slice(20, 27))
SPECK = (slice(9, 10), slice(19, 20), slice(29, 30))


def test_largest_part_is_kept_and_the_threshold_belongs_to_it() -> None:
    np.testing.assert_array_equal(
        mask_voxels(probabilities(LARGE, OTHER, SPECK), "liver"), probabilities(LARGE) >= 0.5
    )


def test_pair_keeps_two_parts_and_no_speck() -> None:
    kept = mask_voxels(probabilities(LARGE, OTHER, SPECK), "kidneys")
    np.testing.assert_array_equal(kept, probabilities(LARGE, OTHER) >= 0.5)


def test_one_kidney_and_a_speck_are_one_kidney() -> None:
    kept = mask_voxels(probabilities(LARGE, SPECK), "kidneys")
    np.testing.assert_array_equal(kept, probabilities(LARGE) >= 0.5)


def test_parts_that_touch_at_a_corner_are_one() -> None:
    corner = (slice(8, 9), slice(9, 10), slice(12, 13))
    kept = mask_voxels(probabilities(LARGE, corner), "liver")
    np.testing.assert_array_equal(kept, probabilities(LARGE, corner) >= 0.5)


def test_M04_empty_mask_stays_empty() -> None:
    assert not mask_voxels(probabilities(), "liver").any()


def test_volume_is_counted_in_sheared_voxels() -> None:
    affine = np.array([[0, 0, 2.0, 0], [0, 3.0, 0, 0], [5.0, 1.0, 0, 0], [0, 0, 0, 1]])
    frames = tuple(FrameKey(f"1.{k}") for k in range(10))
    volume = Volume(np.zeros((10, 20, 30), np.float32), Geometry(affine), frames)
    mask = mask_on_source(mask_voxels(probabilities(LARGE), "liver"), "liver", volume)
    # 6 x 7 x 9 voxels of 2 x 3 x 5 mm3: shear changes no volume.
    assert volume_ml(mask) == pytest.approx(6 * 7 * 9 * 30 / 1000)


def image(view: View = View.FRONTAL) -> PlanarImage:
    return PlanarImage(np.zeros((100, 200), np.float32), FrameKey("1.2"), view=view)


@pytest.mark.parametrize(
    ("label", "columns", "side"),
    [
        ("nodule", (10, 60), Laterality.RIGHT),
        ("nodule", (140, 190), Laterality.LEFT),
        ("nodule", (90, 112), None),
        ("heart", (120, 180), None),
        ("left lung", (101, 190), Laterality.LEFT),
        ("left lung", (10, 90), Laterality.RIGHT),
    ],
)
def test_side_is_the_patient_s(label: str, columns: tuple[float, float], side: Laterality | None) -> None:
    box = bounding_box(label, (10, columns[0], 50, columns[1]), image())
    assert box is not None
    assert box.laterality is side


@pytest.mark.parametrize("label", ["nodule", "left lung"])
def test_box_on_a_lateral_view_has_no_side(label: str) -> None:
    box = bounding_box(label, (10, 10, 50, 60), image(View.LATERAL))
    assert box is not None
    assert box.laterality is None


@pytest.mark.parametrize(
    "corners",
    [(10, 10, 10.5, 60), (10, 10, 50, 10.9), (50, 60, 10, 10), (-9, 10, 0, 60), (10, np.nan, 50, 60)],
)
def test_box_that_marks_nothing_is_none(corners: tuple[float, float, float, float]) -> None:
    assert bounding_box("nodule", corners, image()) is None


def test_box_over_the_edge_is_clipped() -> None:
    box = bounding_box("nodule", (-0.2, 150, 100.3, 200.1), image())
    assert box is not None
    assert (box.low, box.high) == ((0, 150), (100, 200))

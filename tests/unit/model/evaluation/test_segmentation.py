"""Masks are measured as MONAI measures them, in millimetres on oblong voxels too."""

import warnings
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.meandice import compute_dice
from monai.metrics.meaniou import compute_iou
from monai.metrics.surface_distance import compute_average_surface_distance
from numpy.typing import NDArray
from scipy import ndimage

from model.evaluation.segmentation import dice, intersection_over_union, surface_distance

Mask = NDArray[np.bool_]
GRIDS = [
    ((40, 50), (1.0, 1.0)),
    ((40, 50), (2.0, 0.5)),
    ((20, 24, 28), (1.0, 1.0, 1.0)),
    ((20, 24, 28), (3.0, 0.9, 0.7)),
]


def _pair(shape: Sequence[int], seed: int) -> tuple[Mask, Mask]:
    """Two blobs of many parts, some cut off by the edge of the image."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), 2)
    other = field + 0.5 * ndimage.gaussian_filter(rng.normal(size=shape), 2)
    return field > field.std() * 0.5, other > other.std() * 0.7


def _monai(measure: object, found: Mask, true: Mask, **options: object) -> float:
    tensors = [torch.from_numpy(mask[None, None]) for mask in (found, true)]
    with warnings.catch_warnings():
        # MONAI 1.6 warns of an argument that it passes itself.
        warnings.simplefilter("ignore", FutureWarning)
        # Not checked: MONAI types it as a tensor or a list.
        return float(measure(*tensors, include_background=True, **options))  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize(("shape", "spacing"), GRIDS)
@pytest.mark.parametrize("seed", range(3))
def test_distances_equal_monai(shape: tuple[int, ...], spacing: tuple[float, ...], seed: int) -> None:
    found, true = _pair(shape, seed)
    ours = surface_distance(found, true, spacing)
    options = {"spacing": list(spacing)}
    average = _monai(compute_average_surface_distance, found, true, symmetric=True, **options)
    hausdorff = _monai(compute_hausdorff_distance, found, true, percentile=95, **options)
    assert ours.average == pytest.approx(average, rel=1e-5)
    assert ours.hausdorff_95 == pytest.approx(hausdorff, rel=1e-5)


@pytest.mark.parametrize(("shape", "spacing"), GRIDS)
def test_overlap_equals_monai(shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    found, true = _pair(shape, 5)
    assert dice(found, true) == pytest.approx(_monai(compute_dice, found, true), rel=1e-5)
    assert intersection_over_union(found, true) == pytest.approx(_monai(compute_iou, found, true), rel=1e-5)


def test_distance_of_parallel_plates_worked_by_hand() -> None:
    """Plates one voxel thick, four slices of 3 mm apart: each point of either is 12 mm from the other."""
    found, true = np.zeros((8, 6, 6), bool), np.zeros((8, 6, 6), bool)
    found[1], true[5] = True, True
    measured = surface_distance(found, true, (3.0, 0.5, 0.5))
    assert (measured.average, measured.hausdorff_95) == (12, 12)


def test_one_far_voxel_does_not_rule_the_95th_percentile() -> None:
    true = np.zeros((40, 40), bool)
    true[5:35, 5:30] = True
    found = true.copy()
    found[20, 39] = True
    assert surface_distance(found, true, (1, 1)).hausdorff_95 == 0


def test_distance_to_nothing_is_not_defined() -> None:
    some, nothing = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    for found, true in ((some, nothing), (nothing, some), (nothing, nothing)):
        measured = surface_distance(found, true, (1, 1))
        assert np.isnan([measured.average, measured.hausdorff_95]).all()


def test_empty_masks_agree_and_an_empty_one_misses_all() -> None:
    some, nothing = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    assert (dice(nothing, nothing), intersection_over_union(nothing, nothing)) == (1, 1)
    assert (dice(nothing, some), intersection_over_union(some, nothing)) == (0, 0)


@given(st.integers(0, 10_000), st.floats(0.2, 5))
def test_distances_grow_with_the_spacing_and_do_not_know_which_mask_is_true(seed: int, scale: float) -> None:
    found, true = _pair((18, 16), seed)
    if not found.any() or not true.any():
        return
    once, scaled = surface_distance(found, true, (1, 2)), surface_distance(found, true, (scale, 2 * scale))
    back = surface_distance(true, found, (1, 2))
    assert (scaled.average, scaled.hausdorff_95) == pytest.approx(
        (once.average * scale, once.hausdorff_95 * scale)
    )
    assert (back.average, back.hausdorff_95) == pytest.approx((once.average, once.hausdorff_95))


@given(st.integers(0, 10_000))
def test_dice_follows_from_overlap(seed: int) -> None:
    found, true = _pair((12, 12), seed)
    share = intersection_over_union(found, true)
    assert dice(found, true) == pytest.approx(2 * share / (1 + share))

"""Images go to a network's grid and boxes and masks come back to where they were."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model.errors import AbstentionError
from model.transforms import (
    CLIP_MEAN,
    CLIP_STD,
    PlanarPlacement,
    nearest_end_aligned,
    planar_to_grid,
    volume_to_grid,
    z_normalised,
)
from model.volume import FrameKey, Geometry, PlanarImage, Volume


def _volume(voxels: NDArray[np.float32], affine: NDArray[np.float64] | None = None) -> Volume:
    frames = tuple(FrameKey(f"1.{k}") for k in range(voxels.shape[0]))
    return Volume(voxels, Geometry(np.eye(4) if affine is None else affine), frames)


def _tissue(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Grainy soft tissue where the mask is, fat elsewhere."""
    grain = np.random.default_rng(0).uniform(90, 110, mask.shape)
    return np.where(mask, grain, -100).astype(np.float32)


def _axial_affine(k: float, j: float, i: float) -> NDArray[np.float64]:
    """Slices towards the head, rows towards the back, columns towards the left, in LPS."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = k, j, i, 1
    return affine


def test_grey_becomes_three_channels_with_clip_constants() -> None:
    grid, _ = planar_to_grid(PlanarImage(np.ones((10, 20), np.float32), FrameKey("1")), 8)
    assert grid.shape == (3, 8, 8)
    for channel, mean, std in zip(grid, CLIP_MEAN, CLIP_STD, strict=True):
        np.testing.assert_allclose(channel, (1 - mean) / std, rtol=1e-6)


def test_box_goes_to_source_pixels_and_stays_inside() -> None:
    place = PlanarPlacement(rows=100, columns=200)
    assert place.box_to_source((0.1, 0.2, 0.5, 0.6)) == pytest.approx((20, 20, 60, 100))
    assert place.box_to_source((-1, 0.9, 2, 0.1)) == pytest.approx((10, 0, 90, 200))


def test_planar_mask_lies_where_the_picture_had_it() -> None:
    pixels = np.zeros((300, 200), np.float32)
    pixels[60:120, 20:90] = 1
    grid, place = planar_to_grid(PlanarImage(pixels, FrameKey("1")), 128)
    fractions = grid[0] * np.float32(CLIP_STD[0]) + np.float32(CLIP_MEAN[0])
    back = place.mask_to_source(fractions) >= 0.5
    assert back.shape == (1, 300, 200)
    found = np.argwhere(back[0])
    np.testing.assert_allclose(found.mean(0), (89.5, 54.5), atol=0.3)
    np.testing.assert_allclose(back.sum(), 60 * 70, rtol=0.02)


def test_nearest_zoom_keeps_its_ends() -> None:
    # out[n] = in[floor(n * 4 / 2 + 0.5)] = in[0], in[2], in[4]; upwards n * 1 / 3: 0, 1/3, 2/3, 1
    assert nearest_end_aligned(np.arange(5.0), (3,)).tolist() == [0, 2, 4]
    assert nearest_end_aligned(np.arange(2.0), (4,)).tolist() == [0, 0, 1, 1]


def test_z_norm_is_that_of_the_bright_voxels() -> None:
    # mean is 3; bright are 4 and 6: mean 5, unbiased deviation sqrt(2)
    np.testing.assert_allclose(
        z_normalised(np.array([0, 2, 4, 6], np.float32)), np.array([-5, -3, -1, 1]) / np.sqrt(2), rtol=1e-6
    )


def test_volume_without_contrast_is_not_judged() -> None:
    with pytest.raises(AbstentionError):
        volume_to_grid(_volume(np.full((4, 8, 8), -1000, np.float32)), (4, 4, 4))


def _ellipsoid(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Centre at 40, 45, 55 percent of the field of view; half axes 30, 40, 35 mm."""
    axes = [np.arange(n) * s for n, s in zip(shape, spacing, strict=True)]
    k, j, i = np.meshgrid(*axes, indexing="ij", sparse=True)
    low, mid, high = (f * (n - 1) * s for f, n, s in zip((0.4, 0.45, 0.55), shape, spacing, strict=True))
    return ((k - low) / 30) ** 2 + ((j - mid) / 40) ** 2 + ((i - high) / 35) ** 2 < 1


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((47, 160, 150), (3.0, 1.5, 1.7)), ((110, 128, 128), (1.25, 2.0, 2.0)), ((32, 96, 96), (5.0, 3.0, 3.0))],
)
def test_volume_mask_comes_back_to_its_place(
    shape: tuple[int, int, int], spacing: tuple[float, float, float]
) -> None:
    mask = _ellipsoid(shape, spacing)
    volume = _volume(_tissue(mask), _axial_affine(*spacing))
    grid, placement = volume_to_grid(volume, (64, 96, 96))
    back = placement.mask_to_source((grid[0] > grid.mean()).astype(np.float32)) >= 0.5
    assert back.shape == shape
    shift_mm = (np.argwhere(back).mean(0) - np.argwhere(mask).mean(0)) * spacing
    assert np.linalg.norm(shift_mm) < 0.2
    assert back.sum() == pytest.approx(mask.sum(), rel=0.04)


# A mark towards the head, the back and the left of an otherwise empty body, in every scan plane.
POSES = {
    "axial": [[0, 0, 1], [0, 1, 0], [1, 0, 0]],
    "axial, feet last": [[0, 0, -1], [0, 1, 0], [1, 0, 0]],
    "axial, prone rows": [[0, 0, 1], [0, -1, 0], [-1, 0, 0]],
    "coronal": [[0, 1, 0], [0, 0, -1], [1, 0, 0]],
    "sagittal": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
}


@pytest.mark.parametrize("pose", POSES)
def test_every_scan_plane_reaches_the_network_in_one_pose(pose: str) -> None:
    directions = np.array(POSES[pose], float).T
    affine = np.eye(4)
    affine[:3, :3] = directions
    affine[:3, 3] = -directions @ np.full(3, 15.5)
    index = np.moveaxis(np.indices((32, 32, 32), float), 0, -1)
    left, back, head = np.moveaxis(Geometry(affine).to_patient(index), -1, 0)
    marked = (left > 5) & (back > 9) & (head > 1)
    grid, placement = volume_to_grid(_volume(_tissue(marked), affine), (32, 32, 32))
    seen = grid[0] > grid.mean()
    bright = np.argwhere(seen)
    # head > 1 mm is 17 and up of 32 from -15.5 mm; left > 5 is 21 and up; back > 9 is 25 and up
    assert bright.min(0).tolist() == [17, 21, 25]
    assert bright.max(0).tolist() == [31, 31, 31]
    back_again = placement.mask_to_source(seen.astype(np.float32)) >= 0.5
    np.testing.assert_array_equal(back_again, marked)

"""Properties of every transform and its inverse, over shapes and orientations that nobody picked by hand."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.transforms import PlanarPlacement, planar_to_grid, volume_to_grid
from model.volume import FrameKey, Geometry, Orientation, PlanarImage, Volume

few = settings(deadline=None, max_examples=30, derandomize=True)

orientations = st.builds(Orientation, st.booleans(), st.booleans(), st.booleans())
sides = st.integers(1, 40)
fraction = st.floats(0, 1)


def numbered(*shape: int) -> NDArray[np.float32]:
    """An array in which every element is another."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def axial(shape: tuple[int, int, int], axes: tuple[int, ...], signs: tuple[int, ...]) -> Volume:
    """A volume whose k, j and i run along `axes` of the patient, forwards or backwards."""
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, list(axes)] * np.array(signs)
    return Volume(
        numbered(*shape) / np.prod(shape) * 400 - 150,
        Geometry(affine),
        tuple(FrameKey(f"1.{k}") for k in range(shape[0])),
    )


@few
@given(orientations, st.tuples(sides, sides, sides))
def test_what_was_turned_turns_back(orientation: Orientation, shape: tuple[int, int, int]) -> None:
    stored = numbered(*shape)
    np.testing.assert_array_equal(orientation.undo(orientation.apply(stored)), stored)
    np.testing.assert_array_equal(orientation.apply(orientation.undo(stored)), stored)


@few
@given(orientations, sides, sides, st.data())
def test_box_on_the_turned_grid_holds_the_same_pixels(
    orientation: Orientation, rows: int, columns: int, data: st.DataObject
) -> None:
    turned = orientation.apply(numbered(rows, columns))
    j0 = data.draw(st.integers(0, turned.shape[0] - 1))
    i0 = data.draw(st.integers(0, turned.shape[1] - 1))
    j1 = data.draw(st.integers(j0 + 1, turned.shape[0]))
    i1 = data.draw(st.integers(i0 + 1, turned.shape[1]))
    low_j, low_i, high_j, high_i = map(int, orientation.undo_box((j0, i0, j1, i1), turned.shape))
    stored = numbered(rows, columns)
    assert set(stored[low_j:high_j, low_i:high_i].flat) == set(turned[j0:j1, i0:i1].flat)


@few
@given(orientations, st.tuples(sides, sides, sides), st.integers(0, 2**32 - 1))
def test_every_voxel_keeps_its_place_in_the_patient(
    orientation: Orientation, shape: tuple[int, int, int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3] = rng.normal(size=(3, 4))
    turned = orientation.apply(numbered(*shape))
    geometry = Geometry(affine)
    stored_geometry = orientation.undo_geometry(geometry, (turned.shape[1], turned.shape[2]))
    voxel = rng.integers(turned.size)
    there = np.argwhere(turned == voxel).astype(float)
    here = np.argwhere(numbered(*shape) == voxel).astype(float)
    np.testing.assert_allclose(geometry.to_patient(there), stored_geometry.to_patient(here), atol=1e-6)


@few
@given(st.integers(0, 2**32 - 1))
def test_patient_millimetres_and_voxels_are_inverse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3] = rng.normal(size=(3, 4))
    assume(abs(np.linalg.det(affine)) > 1e-2)
    points = rng.normal(size=(5, 3)) * 100
    geometry = Geometry(affine)
    np.testing.assert_allclose(geometry.to_patient(geometry.to_index(points)), points, atol=1e-6)


@few
@given(st.integers(1, 3000), st.integers(1, 3000), st.tuples(fraction, fraction, fraction, fraction))
def test_box_in_fractions_is_inverse_to_its_pixels(
    rows: int, columns: int, corners: tuple[float, float, float, float]
) -> None:
    x1, y1, x2, y2 = corners
    j0, i0, j1, i1 = PlanarPlacement(rows, columns).box_to_source(corners)
    back = i0 / columns, j0 / rows, i1 / columns, j1 / rows
    np.testing.assert_allclose(back, (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), atol=1e-9)


@few
@given(st.sampled_from([32, 96, 224]), st.integers(0, 2**32 - 1))
def test_planar_mask_on_a_grid_of_its_own_size_comes_back_as_it_was(size: int, seed: int) -> None:
    mask = (np.random.default_rng(seed).random((size, size)) < 0.5).astype(np.float32)
    _, placement = planar_to_grid(PlanarImage(mask, FrameKey("1")), size)
    np.testing.assert_array_equal(placement.mask_to_source(mask)[0], mask)


POSES = st.tuples(
    st.permutations(range(3)).map(tuple), st.tuples(*[st.sampled_from((-1, 1))] * 3)
)  # fmt: skip


@few
@given(POSES, st.tuples(*[st.integers(2, 24)] * 3))
def test_volume_mask_on_a_grid_of_its_own_size_comes_back_as_it_was(
    pose: tuple[tuple[int, ...], tuple[int, ...]], shape: tuple[int, int, int]
) -> None:
    volume = axial(shape, *pose)
    depth, left, back = (shape[a] for a in _network_order(pose[0]))
    seen, placement = volume_to_grid(volume, (depth, left, back))
    returned = placement.mask_to_source(seen[0])
    # z-normalisation is linear: the same straight line takes every voxel back.
    slope, offset = np.polyfit(returned.ravel(), volume.voxels.ravel(), 1)
    np.testing.assert_allclose(returned * slope + offset, volume.voxels, atol=0.05)


def _network_order(axes: tuple[int, ...]) -> list[int]:
    """Source axis that runs along head-foot, left-right and front-back."""
    return [axes.index(direction) for direction in (2, 0, 1)]


@few
@given(
    POSES,
    st.tuples(*[st.integers(2, 60)] * 3),
    st.tuples(*[st.integers(2, 50)] * 3),
)
def test_way_in_and_way_back_shift_nothing(
    pose: tuple[tuple[int, ...], tuple[int, ...]],
    shape: tuple[int, int, int],
    grid: tuple[int, int, int],
) -> None:
    """A ramp along any axis, sampled on the way in, is the same ramp on the way back: no bias anywhere."""
    _, placement = volume_to_grid(axial(shape, *pose), (2, 2, 2))
    order = _network_order(pose[0])
    for axis in range(3):
        ramp = np.indices(shape, np.float32)[axis]
        directions = tuple(slice(None, None, pose[1][a]) for a in order)
        seen = _taken(ramp.transpose(order)[directions], grid)
        np.testing.assert_allclose(placement.mask_to_source(seen), ramp, atol=5e-3)


def _taken(posed: NDArray[np.float32], grid: tuple[int, int, int]) -> NDArray[np.float32]:
    """The published rule: out[n] = in[floor(n (N_in - 1) / (N_out - 1) + 0.5)]."""
    for axis, n_out in enumerate(grid):
        n_in = posed.shape[axis]
        picks = [int(np.floor(n * (n_in - 1) / (n_out - 1) + 0.5)) for n in range(n_out)]
        posed = posed.take(picks, axis)
    return np.ascontiguousarray(posed)


@pytest.mark.parametrize(("n_in", "n_out"), [(44, 32), (383, 192), (512, 192), (20, 64), (191, 192)])
def test_mask_neither_grows_nor_shrinks_on_the_whole(n_in: int, n_out: int) -> None:
    """Slabs side by side, of many widths in many places: their mean width comes back."""
    rng = np.random.default_rng(0)
    _, placement = volume_to_grid(axial((n_in, 2, 200), (2, 1, 0), (1, 1, 1)), (n_out, 200, 2))
    low = rng.integers(n_in // 8, n_in // 2, 200)
    width = rng.integers(n_in // 4, n_in // 2, 200)
    k = np.arange(n_in)[:, None]
    slabs = np.broadcast_to(((low <= k) & (k < low + width))[:, None], (n_in, 2, 200)).astype(np.float32)
    back = placement.mask_to_source(_taken(slabs.transpose(0, 2, 1), (n_out, 200, 2))) >= 0.5
    grown = back[:, 0].sum(0) - width
    assert abs(grown.mean()) < 0.15
    assert np.abs(grown).max() <= np.ceil(n_in / n_out)

"""Crops and mirrorings move picture, mask and box together, and only where paper and truth allow it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.reading import Modality, Task
from model.training.datasets.framing import (
    CROPPED_TASKS,
    Framing,
    draw_framing,
    mask_to_grid,
    may_mirror,
    whole,
)
from model.transforms import CLIP_MEAN, CLIP_STD, planar_to_grid
from model.volume import FrameKey, PlanarImage

SHAPE = (60, 80)
"""Rows and columns."""

BOX = (0.25, 0.2, 0.5, 0.4)
"""Pixels 20 to 40 of the columns, 12 to 24 of the rows."""


def _filled(box: tuple[float, float, float, float]) -> np.ndarray:
    x1, y1, x2, y2 = (round(f * n) for f, n in zip(box, (*SHAPE[::-1], *SHAPE[::-1]), strict=True))
    mask = np.zeros(SHAPE, bool)
    mask[y1:y2, x1:x2] = True
    return mask


def test_a_crop_moves_the_box_with_its_picture() -> None:
    """40 columns from the 10th and 30 rows from the 6th: 10 to 30 of 40, 6 to 18 of 30."""
    framing = Framing(top=6, left=10, rows=30, columns=40, shape=SHAPE)
    assert framing.box(BOX) == pytest.approx((0.25, 0.2, 0.75, 0.6))
    cut = framing.pixels(_filled(BOX))
    assert cut.shape == (30, 40)
    assert cut[6:18, 10:30].all()
    assert cut.sum() == 12 * 20


def test_a_mirroring_moves_the_box_to_the_other_side() -> None:
    framing = Framing(top=6, left=10, rows=30, columns=40, shape=SHAPE, mirrored=True)
    assert framing.box((0.25, 0.2, 0.375, 0.4)) == pytest.approx((0.5, 0.2, 0.75, 0.6))
    cut = framing.pixels(_filled((0.25, 0.2, 0.375, 0.4)))
    assert cut[6:18, 20:30].all()
    assert cut.sum() == 12 * 10


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_box_and_mask_agree_after_any_framing(seed: int, mirrored: bool) -> None:
    framing = draw_framing(SHAPE, np.random.default_rng(seed), cropped=True, mirrored=mirrored)
    moved, cut = framing.box(BOX), framing.pixels(_filled(BOX))
    if moved is None:
        assert cut.sum() <= _filled(BOX).sum() / 2
        return
    columns, rows = np.flatnonzero(cut.any(axis=0)), np.flatnonzero(cut.any(axis=1))
    seen = (
        columns[0] / framing.columns,
        rows[0] / framing.rows,
        (columns[-1] + 1) / framing.columns,
        (rows[-1] + 1) / framing.rows,
    )
    assert moved == pytest.approx(seen)


def test_a_box_that_is_half_cut_away_is_gone() -> None:
    """The box's columns are 20 to 40."""
    kept = Framing(top=0, left=30, rows=60, columns=50, shape=SHAPE)
    lost = Framing(top=0, left=31, rows=60, columns=49, shape=SHAPE)
    outside = Framing(top=0, left=50, rows=60, columns=30, shape=SHAPE)
    assert kept.box(BOX) == pytest.approx((0, 0.2, 0.2, 0.4))
    assert lost.box(BOX) is None
    assert outside.box(BOX) is None


@given(st.integers(0, 2**32 - 1), st.sampled_from([(60, 80), (512, 512), (40, 400), (400, 40), (1, 1)]))
def test_crops_are_those_of_random_resized_crop(seed: int, shape: tuple[int, int]) -> None:
    """Half to all of the area, aspect 3:4 to 4:3; where none fits, the middle of an allowed aspect."""
    framing = draw_framing(shape, np.random.default_rng(seed), cropped=True)
    assert 0 <= framing.top <= shape[0] - framing.rows
    assert 0 <= framing.left <= shape[1] - framing.columns
    aspect = framing.columns / framing.rows
    assert 3 / 4 * 0.95 <= aspect <= 4 / 3 * 1.05
    if shape in ((60, 80), (512, 512)):
        area = framing.rows * framing.columns / (shape[0] * shape[1])
        assert 0.48 <= area <= 1
    if shape == (40, 400):
        assert framing == Framing(0, 173, 40, 53, shape)
    if shape == (400, 40):
        assert framing == Framing(173, 0, 53, 40, shape)


def test_crops_cover_the_whole_range() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_framing((512, 512), rng, cropped=True) for _ in range(500)]
    areas = [framing.rows * framing.columns / 512**2 for framing in drawn]
    assert min(areas) < 0.53
    assert max(areas) > 0.9
    assert not any(framing.mirrored for framing in drawn)
    assert {framing.top == 0 for framing in drawn} == {True, False}


def test_half_of_what_may_be_mirrored_is() -> None:
    rng = np.random.default_rng(0)
    mirrored = sum(draw_framing(SHAPE, rng, mirrored=True).mirrored for _ in range(1000))
    assert 430 < mirrored < 570


def test_without_leave_the_whole_is_shown() -> None:
    rng = np.random.default_rng(0)
    assert {draw_framing(SHAPE, rng) for _ in range(20)} == {whole(SHAPE)}


def test_only_where_the_paper_crops_is_cropped() -> None:
    """MedVersa: random resized crops for reports, classification, questions and comparisons."""
    assert set(Task) - CROPPED_TASKS == {
        Task.SEGMENTATION,
        Task.ANATOMY_DETECTION,
        Task.PATHOLOGY_DETECTION,
        Task.REGION_CAPTIONING,
    }


@pytest.mark.parametrize(
    "text",
    [
        "Segment the left lung.",
        "the RIGHT kidney",
        "a left-sided effusion",
        "shifted rightwards",
        "Left: none",
    ],
)
def test_no_mirroring_where_a_side_is_spoken_of(text: str) -> None:
    assert not may_mirror(Modality.CXR, Task.SEGMENTATION, "Where is it?", text)


def test_mirroring_only_of_planar_masks() -> None:
    assert may_mirror(Modality.DERM, Task.SEGMENTATION, "Segment the lesion.", "The mask is <2DSEG>.")
    assert may_mirror(Modality.CXR, Task.SEGMENTATION, "Segment the heart; upright, brightly lit.")
    assert not may_mirror(Modality.CT, Task.SEGMENTATION, "Segment the liver.")
    for task in set(Task) - {Task.SEGMENTATION}:
        assert not may_mirror(Modality.CXR, task, "What is seen?")


def test_picture_and_mask_are_squeezed_alike() -> None:
    mask = _filled(BOX)
    image = PlanarImage(mask.astype(np.float32), FrameKey(""))
    framing = Framing(top=6, left=10, rows=30, columns=40, shape=SHAPE, mirrored=True)
    grid, _ = planar_to_grid(framing.picture(image), 120)
    shown = grid[0] * CLIP_STD[0] + CLIP_MEAN[0] > 0.5
    expected = np.zeros((120, 120), bool)
    expected[24:72, 30:90] = True
    np.testing.assert_array_equal(mask_to_grid(framing.pixels(mask), 120), expected)
    assert (shown ^ expected).sum() <= 2 * (48 + 60)

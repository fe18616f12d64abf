"""Run lengths of CheXmask and COCO, decoded as their publishers do, on examples worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import RowError
from model.training.datasets.record import RunLengths
from model.training.datasets.run_lengths import mask_of_runs, runs_of_coco, runs_of_mask, runs_of_starts

CORNER = np.array([[0, 1, 1, 1], [0, 0, 0, 1], [1, 0, 0, 0]], bool)
"""Three rows of four: no two of its mirror images and turns are equal."""

SIZE = (4, 3)


def test_runs_go_row_by_row_and_begin_with_background() -> None:
    assert runs_of_mask(CORNER) == RunLengths(SIZE, (1, 3, 3, 2, 3))
    assert runs_of_mask(~CORNER) == RunLengths(SIZE, (0, 1, 3, 3, 2, 3))
    np.testing.assert_array_equal(mask_of_runs(RunLengths(SIZE, (1, 3, 3, 2, 3))), CORNER)


@given(
    st.integers(1, 7).flatmap(
        lambda columns: st.lists(st.lists(st.booleans(), min_size=columns, max_size=columns), min_size=1)
    )
)
def test_every_mask_comes_back_from_its_runs(rows: list[list[bool]]) -> None:
    mask = np.array(rows)
    np.testing.assert_array_equal(mask_of_runs(runs_of_mask(mask)), mask)


def test_chexmask_counts_pixels_from_one_row_by_row() -> None:
    """Published: mask[start - 1 : start - 1 + length] of the flattened image, for each pair."""
    np.testing.assert_array_equal(mask_of_runs(runs_of_starts("2 3 8 2", SIZE)), CORNER)


def test_chexmask_runs_may_touch_and_may_be_none() -> None:
    expected = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]], bool)
    np.testing.assert_array_equal(mask_of_runs(runs_of_starts("1 2 3 2", SIZE)), expected)
    assert not mask_of_runs(runs_of_starts("", SIZE)).any()


@pytest.mark.parametrize(
    "text", ["2", "2 3 8", "2 x", "0 3", "8 2 2 3", "2 7 8 2", "11 3", "2 -1", "9" * 30 + " 1"]
)
def test_chexmask_runs_that_make_no_mask_are_refused(text: str) -> None:
    with pytest.raises(RowError):
        runs_of_starts(text, SIZE)


def test_coco_counts_column_by_column_from_background() -> None:
    """The columns of the example are 001, 100, 100, 110, read downwards."""
    np.testing.assert_array_equal(mask_of_runs(runs_of_coco([2, 2, 2, 1, 2, 2, 1], SIZE)), CORNER)


def test_coco_text_is_five_bits_a_character_from_48_on() -> None:
    """maskApi.c: 2, 2, 2 as they are; then differences to the one before last: -1, 0, 1, -1.

    One group each: 48 + 2 is `2`; minus one is 11111 in five bits, 48 + 31 is `O`; 0 is `0`, 1 is `1`.
    """
    np.testing.assert_array_equal(mask_of_runs(runs_of_coco("222O01O", SIZE)), CORNER)


def test_coco_text_carries_numbers_over_characters() -> None:
    """100 = 00011 00100: low group 4 with the mark of more, 48 + 4 + 32 = `T`; then 3, `3`.

    16 needs a second group, since its bit 4 would be the sign: 48 + 16 + 32 = `` ` ``, then `0`.
    """
    coded = runs_of_coco("T3`0", (4, 29))
    expected = (np.arange(116) >= 100).reshape(4, 29).T
    np.testing.assert_array_equal(mask_of_runs(coded), expected)


@pytest.mark.parametrize(
    "counts", ["222O01", "222O01p", "222O01\x7f", "222O01O0 ", [12, -1, 1], [11], [13], []]
)
def test_coco_counts_that_make_no_mask_are_refused(counts: str | list[int]) -> None:
    with pytest.raises(RowError):
        runs_of_coco(counts, SIZE)

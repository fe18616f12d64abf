"""Masks as lengths of runs: the two published codings become the one of records, and that becomes pixels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.errors import RowError
from model.training.datasets.record import RunLengths


def runs_of_mask(mask: NDArray[np.bool_]) -> RunLengths:
    """Code a mask (J, I)."""
    flat = np.concatenate(([False], mask.ravel()))
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(np.concatenate(([0], edges, [mask.size])))
    return RunLengths((mask.shape[1], mask.shape[0]), tuple(runs.tolist()))


def mask_of_runs(coded: RunLengths) -> NDArray[np.bool_]:
    """Return the mask (J, I)."""
    columns, rows = coded.size
    inside = np.arange(len(coded.runs)) % 2 == 1
    return np.repeat(inside, coded.runs).reshape(rows, columns)


def runs_of_starts(text: str, size: tuple[int, int]) -> RunLengths:
    """Read pairs "start length" of foreground, row by row, the first pixel being 1: the coding of CheXmask.

    `size` is (columns, rows).

    Raises:
        RowError: it is no list of pairs, or a run overlaps the one before or leaves the image.
    """
    try:
        numbers = np.array(text.split(), np.int64)
    except (ValueError, OverflowError) as exc:
        raise RowError("run lengths are no numbers") from exc
    starts, lengths = numbers[0::2] - 1, numbers[1::2]
    if len(starts) != len(lengths):
        raise RowError("a run has no length")
    edges = np.stack([starts, starts + lengths], axis=1).ravel() if len(starts) else starts
    bounded = np.concatenate(([0], edges, [size[0] * size[1]]))
    runs = np.diff(bounded)
    if (runs < 0).any():
        raise RowError("runs overlap or leave the image")
    return RunLengths(size, tuple(runs.tolist()))


def runs_of_coco(counts: Sequence[int] | str, size: tuple[int, int]) -> RunLengths:
    """Read counts of background and foreground in turn, column by column: the coding of COCO.

    A text is its compressed form (maskApi.c of pycocotools). `size` is (columns, rows).

    Raises:
        RowError: the counts are negative or do not fill the image.
    """
    listed = _decompressed(counts) if isinstance(counts, str) else [int(count) for count in counts]
    if min(listed, default=0) < 0 or sum(listed) != size[0] * size[1]:
        raise RowError("run lengths do not fill the image")
    return runs_of_mask(mask_of_runs(RunLengths((size[1], size[0]), tuple(listed))).T)


def _decompressed(text: str) -> list[int]:
    """Each count is in groups of five bits, the lowest first, from character 48 on; bit 5: more follow.

    The last group's bit 4 is the sign. From the fourth count on it is the difference to the one before last.
    """
    counts: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise RowError("run lengths hold a character that is none of the coding")
        number |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            number -= (bits & 16) << (shift - 4)
            counts.append(number + counts[-2] if len(counts) > 2 else number)
            number = shift = 0
    if shift:
        raise RowError("run lengths end within a number")
    return counts

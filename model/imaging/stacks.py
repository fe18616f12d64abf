"""Sorts the slices of a study into stacks that can each be one volume, the best first."""

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from model.imaging.elements import integer, text, values
from model.imaging.series import is_axial
from model.imaging.slices import Slice, plane_tolerance


def stacks_of(slices: Iterable[Slice]) -> list[list[Slice]]:
    """Split slices into stacks, in the order in which they should be tried.

    Slices of a stack share series, frame of reference, Stack ID, plane and grid. Where positions repeat,
    acquisitions, temporal positions, kernels and multi-frame instances are told apart. The order of
    `slices` does not matter.
    """
    series: dict[tuple[str, ...], list[Slice]] = {}
    for one in slices:
        series.setdefault(one.stack, []).append(one)
    stacks = [phase for members in series.values() for plane in _planes(members) for phase in _phases(plane)]
    return sorted(stacks, key=_rank)


def _planes(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Group slices by plane and grid; fast also where every slice has another plane."""
    groups: list[list[Slice]] = []
    planes: NDArray[np.float64] = np.empty((len(slices), len(slices[0].plane)))
    for one in slices:
        same = (np.abs(planes[: len(groups)] - one.plane) <= plane_tolerance(one.plane)).all(axis=1)
        if same.any():
            groups[int(same.argmax())].append(one)
        else:
            planes[len(groups)] = one.plane
            groups.append([one])
    return groups


def _phases(plane: Sequence[Slice]) -> list[list[Slice]]:
    positions = {tuple(one.position_mm.round(2)) for one in plane}
    if len(positions) == len(plane):
        return [list(plane)]
    phases: dict[tuple[tuple[int, int], str, str], list[Slice]] = {}
    for one in plane:
        phases.setdefault((one.acquisition, one.kernel, _multi_frame_source(one)), []).append(one)
    return [_without_twins(phase) for phase in phases.values()]


def _multi_frame_source(one: Slice) -> str:
    """The multi-frame instance, or the concatenation of such; empty for a classic slice."""
    if (integer(one.ds, "NumberOfFrames") or 1) == 1:
        return ""
    return text(one.ds, "ConcatenationUID") or text(one.ds, "SOPInstanceUID")


def _without_twins(slices: Sequence[Slice]) -> list[Slice]:
    """Drop slices sent twice under two UIDs: same place, same bytes."""
    kept: dict[tuple[object, ...], Slice] = {}
    for one in slices:
        kept.setdefault((*one.position_mm.round(2), one.frame_index, bytes(one.ds.PixelData)), one)
    return list(kept.values())


_SHARP_KERNEL = re.compile(r"LUNG|BONE|EDGE|SHARP|^[BHUQ][RLPV]?[5-9]\d|^FC[358]\d|^Y[CDE]|^[LD]$")


def _rank(stack: Sequence[Slice]) -> tuple[bool, bool, bool, int, tuple[int, int], str, str]:
    """Axial before other planes, original before reformatted, soft kernel before sharp, many before few.

    The rest makes the choice independent of the order in which files came.
    """
    ds = stack[0].ds
    return (
        not is_axial(stack[0]),
        bool({"DERIVED", "REFORMATTED"} & {*values(ds, "ImageType"), *stack[0].frame_type}),
        bool(_SHARP_KERNEL.search(stack[0].kernel)),
        -len(stack),
        min(one.acquisition for one in stack),
        text(ds, "SeriesInstanceUID"),
        min(text(one.ds, "SOPInstanceUID") for one in stack),
    )

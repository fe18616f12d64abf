"""Finds what a multi-frame instance says of one frame (PS3.3 C.7.6.16)."""

from collections.abc import Sequence

from pydicom.dataset import Dataset

from model.imaging.elements import items


def groups_of_frames(ds: Dataset) -> list[tuple[Dataset, ...]]:
    """For each frame that has functional groups of its own, where to look, in this order.

    These are its own groups, the shared ones, and the instance itself. Empty for a classic instance.
    """
    shared = items(ds, "SharedFunctionalGroupsSequence")
    return [(group, *shared, ds) for group in items(ds, "PerFrameFunctionalGroupsSequence")]


def groups_of_frame(ds: Dataset, index: int) -> tuple[Dataset, ...]:
    """Where to look for what is said of one frame, counted from 0; never empty."""
    own = items(ds, "PerFrameFunctionalGroupsSequence")
    return (*own[index : index + 1], *items(ds, "SharedFunctionalGroupsSequence"), ds)


def macro(groups: Sequence[Dataset], sequence: str) -> Dataset:
    """The functional group macro of a frame; where there is none, the instance itself."""
    for group in groups:
        found = items(group, sequence)
        if found:
            return found[0]
    return groups[-1]

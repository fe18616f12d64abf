"""Which frames of a study show what was found: the ones that a reader would flag."""

from collections import Counter
from collections.abc import Iterable

from model.reading import Mask, Presence, Reading
from model.volume import FrameKey


def key_frames(reading: Reading) -> list[FrameKey]:
    """Choose frames: those with boxes of what is present, else those that show most of each mask.

    Each frame once, in the order of the findings. Empty where nothing has a place.
    """
    boxed = [
        box.frame
        for finding in reading.findings
        if finding.presence is not Presence.ABSENT
        for box in finding.boxes
    ]
    return list(dict.fromkeys(boxed or _fullest(reading.masks) or (box.frame for box in reading.boxes)))


def _fullest(masks: Iterable[Mask]) -> list[FrameKey]:
    """Take the frame of each mask that shows most of it; the middle one of equals."""
    chosen: list[FrameKey] = []
    for mask in masks:
        areas = Counter(dict(zip(mask.frames, mask.voxels.sum(axis=(1, 2)).tolist(), strict=True)))
        best = max(areas.values(), default=0)
        if best:
            equals = [frame for frame in mask.frames if areas[frame] == best]
            chosen.append(equals[len(equals) // 2])
    return chosen

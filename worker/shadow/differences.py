"""Where two readings of the same study differ, by label.

Presence, change and place are compared, not wording: two ways to say the same are no difference.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model.reading import BoundingBox, Mask, Presence, Reading
from model.volume import FrameKey

LEAST_BOX_OVERLAP = 0.5
"""Intersection over union below which two boxes mark different places; the usual threshold of detection."""
LEAST_MASK_OVERLAP = 0.8
"""Dice coefficient below which two masks are worth a look."""

Pair = tuple[str | None, str | None]
"""What the serving and the candidate weights said; None where one said nothing."""


@dataclass(frozen=True, slots=True)
class Differences:
    """Two readings side by side; the serving weights come first everywhere."""

    declined: tuple[bool, bool]
    presence: Mapping[str, Pair]
    """Of each finding that either names: `present`, `absent` or `undetermined`."""
    changes: Mapping[str, Pair]
    """How each finding developed since each prior."""
    boxes: Mapping[str, float]
    """Of each label that either boxes: mean intersection over union of boxes matched to their best; a box
    that the other lacks counts 0."""
    masks: Mapping[str, float]
    """Of each label that either masks: Dice coefficient."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Take what `dataclasses.asdict` gave; JSON made lists of tuples."""
        said: dict[str, Any] = {**values, "declined": tuple(values["declined"])}
        for name in ("presence", "changes"):
            said[name] = {label: tuple(pair) for label, pair in values[name].items()}
        return cls(**said)

    def told(self) -> tuple[str, ...]:
        """Name every difference that is worth a look, in words without identity."""
        said: list[str] = []
        if self.declined[0] != self.declined[1]:
            said.append("only the candidate declines" if self.declined[1] else "only the candidate reads")
        for what, pairs in (("", self.presence), ("change of ", self.changes)):
            said += [f"{what}{label}: {_said(pair)}" for label, pair in pairs.items() if _differs(pair)]
        for what, overlaps, least in (
            ("boxes", self.boxes, LEAST_BOX_OVERLAP),
            ("masks", self.masks, LEAST_MASK_OVERLAP),
        ):
            said += [
                f"{what} of {name} overlap by {value:.2f}"
                for name, value in overlaps.items()
                if value < least
            ]
        return tuple(said)


def differences(serving: Reading, candidate: Reading) -> Differences:
    """Compare two readings of one request."""
    both = (serving, candidate)
    return Differences(
        declined=(serving.abstention is not None, candidate.abstention is not None),
        presence=_paired(*({f.label: f.presence.value for f in r.findings} for r in both)),
        changes=_paired(*(_changes(reading) for reading in both)),
        boxes=_box_overlaps(*(_boxes(reading) for reading in both)),
        masks=_mask_overlaps(*(_pixels(reading.masks) for reading in both)),
    )


def _differs(pair: Pair) -> bool:
    """A finding that one calls absent and the other does not mention is none for both."""
    first, second = (None if said == Presence.ABSENT else said for said in pair)
    return first != second


def _said(pair: Pair) -> str:
    first, second = (said or "not mentioned" for said in pair)
    return f"{first} → {second}"


def _paired(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, Pair]:
    return {label: (first.get(label), second.get(label)) for label in sorted({*first, *second})}


def _changes(reading: Reading) -> dict[str, str]:
    return {
        f"{change.laterality or ''} {change.label} since prior {comparison.prior + 1}".strip(): change.status
        for comparison in reading.comparisons
        for change in comparison.changes
    }


def _boxes(reading: Reading) -> dict[str, list[BoundingBox]]:
    found: dict[str, list[BoundingBox]] = defaultdict(list)
    for box in (*reading.boxes, *(box for finding in reading.findings for box in finding.boxes)):
        found[box.label].append(box)
    return found


def _box_overlaps(
    first: Mapping[str, list[BoundingBox]], second: Mapping[str, list[BoundingBox]]
) -> dict[str, float]:
    overlaps: dict[str, float] = {}
    for label in sorted({*first, *second}):
        here, there = first.get(label, []), second.get(label, [])
        best = [max((_overlap(a, b) for b in there), default=0.0) for a in here]
        best += [max((_overlap(a, b) for a in here), default=0.0) for b in there]
        overlaps[label] = sum(best) / len(best)
    return overlaps


def _overlap(a: BoundingBox, b: BoundingBox) -> float:
    """Intersection over union; 0 on different frames."""
    if a.frame != b.frame:
        return 0.0
    sides = [min(a.high[n], b.high[n]) - max(a.low[n], b.low[n]) for n in (0, 1)]
    shared = max(sides[0], 0.0) * max(sides[1], 0.0)
    areas = sum((box.high[0] - box.low[0]) * (box.high[1] - box.low[1]) for box in (a, b))
    return shared / (areas - shared) if areas > shared else 0.0


Slices = dict[FrameKey, NDArray[np.bool_]]


def _pixels(masks: Iterable[Mask]) -> dict[str, Slices]:
    """The union of the masks of each label, frame by frame, whatever order they came in."""
    found: dict[str, Slices] = defaultdict(dict)
    for mask in masks:
        of_label = found[mask.label]
        for frame, pixels in zip(mask.frames, mask.voxels, strict=True):
            of_label[frame] = of_label[frame] | pixels if frame in of_label else pixels
    return found


def _mask_overlaps(first: Mapping[str, Slices], second: Mapping[str, Slices]) -> dict[str, float]:
    overlaps: dict[str, float] = {}
    for label in sorted({*first, *second}):
        here, there = first.get(label, {}), second.get(label, {})
        sizes = sum(int(pixels.sum()) for slices in (here, there) for pixels in slices.values())
        shared = sum(int((here[frame] & there[frame]).sum()) for frame in here.keys() & there.keys())
        overlaps[label] = 2 * shared / sizes if sizes else 1.0
    return overlaps

"""Makes comparisons out of any two radiographs, by the rule that phantoms of one person follow.

A pair of strangers costs nothing, so that every two pictures of a run can teach what new, resolved, larger,
smaller and unchanged look like.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from model.reading import CHEST_FINDINGS, ChangeStatus
from model.training.phantoms.truth import ChangeTruth, FindingTruth
from model.training.telling import change_sentences

SAME_WITHIN = 1.15
"""Ratio of extents up to which a finding is unchanged; one person's unchanged ones keep within 1.04."""
CHANGED_FROM = 1.5
"""Ratio from which it is larger or smaller; one person's changed ones differ by 1.6 or more."""


def changes_between(
    current: Sequence[FindingTruth], prior: Sequence[FindingTruth]
) -> list[ChangeTruth] | None:
    """Compare what two images show; None where a finding has changed by too little and too much to be told.

    A finding on the other side or in another zone is another finding.
    """
    now, before = ({(f.label, f.laterality, f.zone): f for f in seen} for seen in (current, prior))
    changes: list[ChangeTruth] = []
    for place in sorted({*now, *before}, key=_order):
        status = _status(now.get(place), before.get(place))
        if status is None:
            return None
        changes.append(ChangeTruth(*place, status))
    return changes


def strangers(
    shown: Sequence[Sequence[FindingTruth]], rng: np.random.Generator, pairs: int
) -> Iterator[tuple[int, int, list[ChangeTruth]]]:
    """Draw pairs of images (current, prior) and their changes; half of them share the place of a finding."""
    here: dict[tuple[object, ...], list[int]] = {}
    for n, findings in enumerate(shown):
        for finding in findings:
            here.setdefault((finding.label, finding.laterality, finding.zone), []).append(n)
    made = 0
    for _ in range(20 * pairs):
        if made == pairs:
            return
        current = int(rng.integers(len(shown)))
        others: Sequence[int] = range(len(shown))
        if shown[current] and rng.random() < 0.5:
            finding = shown[current][int(rng.integers(len(shown[current])))]
            others = here[finding.label, finding.laterality, finding.zone]
        prior = others[int(rng.integers(len(others)))]
        changes = changes_between(shown[current], shown[prior])
        if prior != current and changes is not None:
            made += 1
            yield current, prior, changes


def told_extents(
    changes: Sequence[ChangeTruth], now: Sequence[FindingTruth], before: Sequence[FindingTruth]
) -> tuple[tuple[float, float], ...]:
    """The extents now and before that each sentence of a comparison is about: of the largest, 0 if none."""
    return tuple((_largest(told, now), _largest(told, before)) for told in change_sentences(changes).values())


def _largest(told: Sequence[ChangeTruth], seen: Sequence[FindingTruth]) -> float:
    places = {(change.label, change.laterality) for change in told}
    zones = {change.zone for change in told}
    here = [f for f in seen if (f.label, f.laterality) in places]
    return max((f.extent for f in [f for f in here if f.zone in zones] or here), default=0.0)


def _status(now: FindingTruth | None, before: FindingTruth | None) -> ChangeStatus | None:
    if now is None:
        return ChangeStatus.RESOLVED
    if before is None:
        return ChangeStatus.NEW
    ratio = now.extent / before.extent
    if max(ratio, 1 / ratio) <= SAME_WITHIN:
        return ChangeStatus.UNCHANGED
    if max(ratio, 1 / ratio) < CHANGED_FROM:
        return None
    return ChangeStatus.INCREASED if ratio > 1 else ChangeStatus.DECREASED


def _order(place: tuple[str, str | None, str | None]) -> tuple[int, int, str]:
    label, side, zone = place
    return CHEST_FINDINGS.index(label), {"right": 0, "left": 1, "bilateral": 2}.get(side or "", 3), zone or ""

"""Weighs what a comparison says of a finding against what the findings themselves say; pure, no DICOM."""

from collections.abc import Sequence
from enum import StrEnum

from model.reading import Change, ChangeStatus, Finding, Laterality, Presence


class Weight(StrEnum):
    """What may be published of a change."""

    AGREED = "agreed"
    """Nothing speaks against it."""
    SILENT = "silent"
    """Unchanged, and absent now: absent before, which the absent finding says already."""
    DISPUTED = "disputed"
    """It implies that a thing is there which the findings deny: whether it is there is undetermined."""
    REFUSED = "refused"
    """Called resolved, while the findings have it: cannot be coded."""


def weigh(change: Change, findings: Sequence[Finding]) -> Weight:
    """Weigh one change against all findings of the current study."""
    related = related_findings(change, findings)
    if change.status is ChangeStatus.RESOLVED:
        is_there = any(finding.presence is not Presence.ABSENT for finding in related)
        return Weight.REFUSED if is_there else Weight.AGREED
    if not related:
        elsewhere = [finding for finding in findings if finding.label == change.label]
        is_elsewhere = any(finding.presence is Presence.PRESENT for finding in elsewhere)
        return Weight.DISPUTED if is_elsewhere else Weight.AGREED
    if any(finding.presence is not Presence.ABSENT for finding in related):
        return Weight.AGREED
    return Weight.SILENT if change.status is ChangeStatus.UNCHANGED else Weight.DISPUTED


def related_findings(change: Change, findings: Sequence[Finding]) -> list[Finding]:
    """List the findings that a change may speak of: same label, and no two known sides that differ."""
    claimed = _sides(change.laterality)
    return [
        finding
        for finding in findings
        if finding.label == change.label
        and (not claimed or not finding.laterality or claimed & _sides(finding.laterality))
    ]


def finding_of(change: Change, findings: Sequence[Finding]) -> Finding | None:
    """Find the one stated finding that a change is about; None where its side would be lost or is shared."""
    related = related_findings(change, findings)
    stated = [finding for finding in related if finding.presence is not Presence.ABSENT]
    if change.laterality is None and len(stated) == 1:
        return stated[0]
    return next((finding for finding in stated if finding.laterality == change.laterality), None)


def presence_now(change: Change, findings: Sequence[Finding]) -> Presence:
    """Conclude whether the thing is there now, from the change and the findings together."""
    if change.status is ChangeStatus.RESOLVED:
        return Presence.ABSENT
    related = related_findings(change, findings)
    stated = {finding.presence for finding in related} - {Presence.ABSENT}
    if weigh(change, findings) is Weight.DISPUTED or stated == {Presence.UNDETERMINED}:
        return Presence.UNDETERMINED
    return Presence.PRESENT


def _sides(laterality: Laterality | None) -> frozenset[Laterality]:
    if laterality is Laterality.BILATERAL:
        return frozenset({Laterality.LEFT, Laterality.RIGHT})
    return frozenset({laterality} if laterality else ())

"""What a comparison with priors says in codes, and where it must not be believed."""

from collections.abc import Sequence
from dataclasses import dataclass

from highdicom.sr import ContentItem, TimePointContext
from pydicom.dataset import Dataset

from model.reading import Change, ChangeStatus, Finding, Laterality, Modality, Presence
from structured_reports import codes
from structured_reports.errors import EvidenceError
from structured_reports.tracking import Tracking
from structured_reports.wording import CONTRADICTION, named
from structured_reports.writers import content
from structured_reports.writers.writer import Draft

OVERALL_LABELS = {Modality.CXR: "chest", Modality.CT: "abdomen", Modality.DERM: "skin lesion"}
"""Labels under which a comparison speaks of the study as a whole."""


@dataclass(frozen=True, slots=True, eq=False)
class ChangeSaid:
    """One change that may be published, with the prior it rests on."""

    change: Change
    prior: int
    tracking: Tracking
    finding: Finding | None
    """The finding of this reading in whose group it stands; None for a group of its own."""
    presence: Presence | None
    """Of the thing now, for a group of its own; None for the study as a whole."""


def prior_headers(draft: Draft, prior: int) -> list[Dataset]:
    """Give the headers of a compared prior.

    Raises:
        EvidenceError: that prior was not supplied, or without any instance.
    """
    if not 0 <= prior < len(draft.sources.priors) or not draft.sources.priors[prior].instances:
        raise EvidenceError("a comparison names a prior that was not supplied")
    return [draft.headers[ds.SOPInstanceUID] for ds in draft.sources.priors[prior].instances]


def changes_said(draft: Draft) -> tuple[list[ChangeSaid], list[str]]:
    """Sort the reading's changes into what is coded and what contradicts the findings, in words.

    Raises:
        EvidenceError: a comparison names a prior that was not supplied.
    """
    said: list[ChangeSaid] = []
    contradictions: list[str] = []
    for order, comparison in enumerate(draft.reading.comparisons):
        prior_study_uid = str(prior_headers(draft, comparison.prior)[0].StudyInstanceUID)
        for change in comparison.changes:
            related = _related(draft, change)
            if _contradicts(draft, change, related):
                contradictions.append(_contradiction(change))
            elif not _is_denied(change, related):
                older = prior_study_uid if order else None
                said.append(_said(draft, change, comparison.prior, related, older=older))
    unique = {change.tracking.uid: change for change in reversed(said)}
    return [change for change in said if unique[change.tracking.uid] is change], contradictions


def _said(
    draft: Draft, change: Change, prior: int, related: Sequence[Finding], *, older: str | None
) -> ChangeSaid:
    """Place a change: with the finding of its name and side, or by itself; `older` names an older prior."""
    there = [finding for finding in related if finding.presence is not Presence.ABSENT]
    same_side = [finding for finding in there if finding.laterality == change.laterality]
    the_one = there if change.laterality is None and len(there) == 1 else same_side
    finding = the_one[0] if the_one and older is None else None
    side = change.laterality if finding is None else finding.laterality
    tracker = draft.tracker
    if finding is not None:
        tracking = tracker.finding(change.label, side, draft.number_of(finding))
    elif older is not None:
        tracking = tracker.against(change.label, side, older)
    else:
        tracking = tracker.finding(change.label, side)
    return ChangeSaid(change, prior, tracking, finding, _presence(draft, change, there))


def change_items(draft: Draft, change: ChangeSaid) -> list[ContentItem]:
    """Say the changed status and the image it is measured against (TID 1501 row 10b)."""
    items: list[ContentItem] = [
        content.code(codes.CHANGED_STATUS, codes.CHANGES[change.change.status]),
        content.image(codes.BASELINE, prior_headers(draft, change.prior)[0]),
    ]
    if change.change.evidence.strip():
        items.append(content.text(codes.COMMENT, change.change.evidence))
    return items


def time_point(draft: Draft) -> TimePointContext:
    """Place the current study in the series of those that were compared (TID 1502)."""
    date = str(draft.current[0].get("StudyDate") or "")
    label = f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 else "current study"
    return TimePointContext(time_point=label, time_point_order=len(draft.sources.priors) + 1)


def _related(draft: Draft, change: Change) -> list[Finding]:
    """List the findings that a change may speak of: same label, and no two known sides that differ."""
    claimed = _sides(change.laterality)
    return [
        finding
        for finding in draft.reading.findings
        if finding.label == change.label
        and (not claimed or not finding.laterality or claimed & _sides(finding.laterality))
    ]


def _contradicts(draft: Draft, change: Change, related: Sequence[Finding]) -> bool:
    """Say whether the findings deny what a change implies: that the thing is there now, or that it is not."""
    if change.status is ChangeStatus.RESOLVED:
        return any(finding.presence is not Presence.ABSENT for finding in related)
    named_elsewhere = [finding for finding in draft.reading.findings if finding.label == change.label]
    if not related:
        return any(finding.presence is Presence.PRESENT for finding in named_elsewhere)
    return change.status is not ChangeStatus.UNCHANGED and _is_denied(change, related)


def _is_denied(change: Change, related: Sequence[Finding]) -> bool:
    """Say whether all findings call the thing absent; if unchanged, it was so before: they say it already."""
    if change.status is ChangeStatus.RESOLVED:
        return False
    return bool(related) and all(finding.presence is Presence.ABSENT for finding in related)


def _contradiction(change: Change) -> str:
    return CONTRADICTION.format(
        label=named(change.label, change.laterality).capitalize(), status=change.status.value
    )


def _presence(draft: Draft, change: Change, there: Sequence[Finding]) -> Presence | None:
    if change.label == OVERALL_LABELS[draft.reading.modality]:
        return None
    if change.status is ChangeStatus.RESOLVED:
        return Presence.ABSENT
    is_unsure = bool(there) and all(finding.presence is Presence.UNDETERMINED for finding in there)
    return Presence.UNDETERMINED if is_unsure else Presence.PRESENT


def _sides(laterality: Laterality | None) -> frozenset[Laterality]:
    if laterality is Laterality.BILATERAL:
        return frozenset({Laterality.LEFT, Laterality.RIGHT})
    return frozenset({laterality} if laterality else ())

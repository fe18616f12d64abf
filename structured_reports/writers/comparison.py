"""What a comparison with priors says in codes, and where it must not be believed."""

from dataclasses import dataclass

from highdicom.sr import ContentItem, TimePointContext
from pydicom.dataset import Dataset

from model.reading import Change, ChangeStatus, Finding, Modality, Presence
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
    seen: set[str] = set()
    for order, comparison in enumerate(draft.reading.comparisons):
        prior_study_uid = str(prior_headers(draft, comparison.prior)[0].StudyInstanceUID)
        for change in comparison.changes:
            finding = _finding_of(draft, change)
            if finding is not None and _contradicts(change, finding):
                contradictions.append(_contradiction(change, finding))
                continue
            if finding is not None and finding.presence is Presence.ABSENT:
                if change.status is ChangeStatus.UNCHANGED:
                    continue  # absent then and now: said by the absent finding itself
                finding = None
            laterality = change.laterality if finding is None else finding.laterality
            tracker = draft.tracker
            tracking = (
                tracker.finding(change.label, laterality)
                if order == 0
                else tracker.against(change.label, laterality, prior_study_uid)
            )
            if tracking.uid in seen:
                continue
            seen.add(tracking.uid)
            own_group = order > 0 or finding is None
            said.append(
                ChangeSaid(
                    change=change,
                    prior=comparison.prior,
                    tracking=tracking,
                    finding=None if own_group else finding,
                    presence=_presence(draft, change),
                )
            )
    return said, contradictions


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


def _finding_of(draft: Draft, change: Change) -> Finding | None:
    same = [finding for finding in draft.reading.findings if finding.label == change.label]
    exact = [finding for finding in same if finding.laterality == change.laterality]
    if exact:
        return exact[0]
    return same[0] if len(same) == 1 and None in {change.laterality, same[0].laterality} else None


def _contradicts(change: Change, finding: Finding) -> bool:
    if finding.presence is Presence.ABSENT:
        return change.status in {ChangeStatus.NEW, ChangeStatus.INCREASED, ChangeStatus.DECREASED}
    return finding.presence is Presence.PRESENT and change.status is ChangeStatus.RESOLVED


def _contradiction(change: Change, finding: Finding) -> str:
    return CONTRADICTION.format(
        label=named(change.label, change.laterality).capitalize(),
        status=change.status.value,
        presence=finding.presence.value,
    )


def _presence(draft: Draft, change: Change) -> Presence | None:
    if change.label == OVERALL_LABELS[draft.reading.modality]:
        return None
    return Presence.ABSENT if change.status is ChangeStatus.RESOLVED else Presence.PRESENT

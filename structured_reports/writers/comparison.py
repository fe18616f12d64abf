"""What a comparison with priors says in codes, and where it must not be believed."""

from dataclasses import dataclass

from highdicom.sr import ContentItem, TimePointContext
from pydicom.dataset import Dataset

from model.reading import Change, ChangeStatus, Comparison, Finding, Modality, Presence
from structured_reports import codes
from structured_reports.errors import EvidenceError
from structured_reports.tracking import Tracking
from structured_reports.weighing import Weight, finding_of, presence_now, related_findings, weigh
from structured_reports.wording import DISPUTED, REFUSED, named
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
    doubt: str = ""
    """What the findings say against it, in words."""


def prior_headers(draft: Draft, prior: int) -> list[Dataset]:
    """Give the headers of a compared prior.

    Raises:
        EvidenceError: that prior was not supplied, or without any instance.
    """
    if not 0 <= prior < len(draft.sources.priors) or not draft.sources.priors[prior].instances:
        raise EvidenceError("a comparison names a prior that was not supplied")
    return [draft.headers[ds.SOPInstanceUID] for ds in draft.sources.priors[prior].instances]


@dataclass(frozen=True, slots=True, eq=False)
class WeighedChanges:
    """All changes of a reading, sorted by what may be said of them."""

    said: tuple[ChangeSaid, ...]
    disputed: tuple[Finding, ...]
    """Findings called absent that a change implies: whether they are there is undetermined."""
    refused: tuple[str, ...]
    """In words, changes that cannot be coded."""


def weighed_changes(draft: Draft) -> WeighedChanges:
    """Sort the reading's changes by what may be said of them.

    Raises:
        EvidenceError: a comparison names a prior that was not supplied.
    """
    said: dict[str, ChangeSaid] = {}
    disputed: list[Finding] = []
    refused: list[str] = []
    findings = draft.reading.findings
    for order, comparison in enumerate(draft.reading.comparisons):
        study_uid = str(prior_headers(draft, comparison.prior)[0].StudyInstanceUID)
        for change in _codable(draft, comparison):
            weight = weigh(change, findings)
            if weight is Weight.REFUSED:
                refused.append(_contradiction(change, codes_it=False))
                continue
            if weight is Weight.DISPUTED:
                disputed += related_findings(change, findings)
            own = _said(draft, change, comparison.prior, older=study_uid if order else None)
            said.setdefault(own.tracking.uid, own)
    return WeighedChanges(tuple(said.values()), tuple(disputed), tuple(refused))


def _codable(draft: Draft, comparison: Comparison) -> list[Change]:
    """Leave out what absent findings say already; if nothing else was said, all is as it was."""
    findings = draft.reading.findings
    changes = [change for change in comparison.changes if weigh(change, findings) is not Weight.SILENT]
    if changes:
        return changes
    overall = OVERALL_LABELS[draft.reading.modality]
    return [Change(overall, ChangeStatus.UNCHANGED, evidence=comparison.changes[0].evidence)]


def _said(draft: Draft, change: Change, prior: int, *, older: str | None) -> ChangeSaid:
    """Place a change: with the finding of its name and side, or by itself; `older` names an older prior."""
    findings = draft.reading.findings
    finding = finding_of(change, findings) if older is None else None
    tracker = draft.tracker
    if finding is not None:
        tracking = tracker.finding(finding.label, finding.laterality, draft.number_of(finding))
    elif older is not None:
        tracking = tracker.against(change.label, change.laterality, older)
    else:
        tracking = tracker.finding(change.label, change.laterality)
    is_overall = change.label == OVERALL_LABELS[draft.reading.modality]
    presence = None if is_overall else presence_now(change, findings)
    is_disputed = weigh(change, findings) is Weight.DISPUTED
    doubt = _contradiction(change, codes_it=True) if is_disputed else ""
    return ChangeSaid(change, prior, tracking, finding, presence, doubt)


def _contradiction(change: Change, *, codes_it: bool) -> str:
    label = named(change.label, change.laterality).capitalize()
    wording = DISPUTED if codes_it else REFUSED
    return wording.format(label=label, status=change.status.value)


def change_items(draft: Draft, change: ChangeSaid) -> list[ContentItem]:
    """Say the changed status and the image it is measured against (TID 1501 row 10b)."""
    items: list[ContentItem] = [
        content.code(codes.CHANGED_STATUS, codes.CHANGES[change.change.status]),
        content.image(codes.BASELINE, prior_headers(draft, change.prior)[0]),
    ]
    if change.doubt:
        items.append(content.text(codes.COMMENT, change.doubt))
    if change.change.evidence.strip():
        items.append(content.text(codes.COMMENT, change.change.evidence))
    return items


def time_point(draft: Draft) -> TimePointContext:
    """Place the current study in the series of those that were compared (TID 1502)."""
    date = str(draft.current[0].get("StudyDate") or "")
    label = f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 else "current study"
    return TimePointContext(time_point=label, time_point_order=len(draft.sources.priors) + 1)

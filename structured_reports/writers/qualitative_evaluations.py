"""What a report says in words and in questions answered: narrative, absent findings, comparison, caveats."""

from collections.abc import Sequence

from highdicom.sr import ContentItem, ContentSequence

from model.reading import Finding, Modality, Presence
from structured_reports import codes, wording
from structured_reports.codes import concept_of
from structured_reports.provenance import statements
from structured_reports.writers import content
from structured_reports.writers.comparison import WeighedChanges, prior_headers
from structured_reports.writers.writer import Draft


def qualitative_evaluations(draft: Draft, changes: WeighedChanges) -> list[ContentItem]:
    """Build the items of the container; statements of what this object is come first."""
    items = [content.text(codes.COMMENT, sentence) for sentence in statements(draft.reading.model)]
    if draft.reading.abstention is not None:
        return [*items, *_abstention(draft.reading.abstention), *_comments(draft.reading.caveats)]
    items += _narrative(draft)
    items += _comparisons(draft)
    items += _absent_items(draft, changes.disputed)
    findings = draft.reading.findings
    is_clear = bool(findings) and all(finding.presence is Presence.ABSENT for finding in findings)
    clear = [wording.NO_PRESENT_FINDING] if is_clear else []
    return [*items, *_comments([*clear, *draft.reading.caveats, *changes.refused])]


def _abstention(reason: str) -> list[ContentItem]:
    return [
        content.code(codes.NORMALITY, codes.NORMALITY_UNDETERMINED),
        content.text(codes.IMPRESSION, f"{wording.NOT_JUDGED} {reason}"),
    ]


def _narrative(draft: Draft) -> list[ContentItem]:
    narrative = draft.reading.narrative
    parts = (
        [(codes.FINDING, narrative.findings), (codes.IMPRESSION, narrative.impression)] if narrative else []
    )
    return [content.text(name, words) for name, words in parts if wording.clean_text(words)]


def _comparisons(draft: Draft) -> list[ContentItem]:
    """Say what was compared with what; that nothing was is also an answer."""
    comparisons = draft.reading.comparisons
    if not comparisons:
        sentence = wording.NOT_COMPARED if draft.sources.priors else wording.NO_PRIOR
        return [
            content.code(codes.COMPARISON_DONE, codes.NO),
            content.text(codes.COMPARISON_TO_PREVIOUS, sentence),
        ]
    items: list[ContentItem] = [content.code(codes.COMPARISON_DONE, codes.YES)]
    for comparison in comparisons:
        prior_headers(draft, comparison.prior)
        date = draft.sources.priors[comparison.prior].study_date
        items.append(content.text(codes.COMPARISON_TO_PREVIOUS, wording.compared_with(date, comparison.text)))
    return items


def _absent_items(draft: Draft, disputed: Sequence[Finding]) -> list[ContentItem]:
    """Answer for every absent finding; of exclusive classes only say which were less likely.

    A lesion is of one class: that another was not chosen is no answer to whether it can be excluded.
    """
    absent = [finding for finding in draft.reading.findings if finding.presence is Presence.ABSENT]
    absent = [finding for finding in absent if not any(finding is other for other in disputed)]
    if draft.reading.modality is not Modality.DERM:
        return [_absent(draft, finding) for finding in absent]
    likelihoods = [(f.label, None if f.certainty is None else 1 - float(f.certainty)) for f in absent]
    return [content.text(codes.COMMENT, wording.less_likely(likelihoods))] if likelihoods else []


def _absent(draft: Draft, finding: Finding) -> ContentItem:
    """Answer "is it there?" with Absent; as value of Finding a viewer would show the pathology itself."""
    concept = concept_of(finding.label, codes.REGIONS[draft.reading.modality])
    item = content.code(concept.code, codes.PRESENCES[Presence.ABSENT])
    if finding.laterality is not None:
        side = content.code(codes.LATERALITY, codes.SIDES[finding.laterality], content.MODIFIES)
        item.ContentSequence = ContentSequence([side])
    return item


def _comments(sentences: Sequence[str]) -> list[ContentItem]:
    return [
        content.text(codes.COMMENT, words) for words in dict.fromkeys(sentences) if wording.clean_text(words)
    ]

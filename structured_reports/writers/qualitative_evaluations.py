"""What a report says in words and in questions answered: narrative, absent findings, comparison, caveats."""

from collections.abc import Sequence

from highdicom.sr import ContentItem

from model.reading import NO_PRIOR, Finding, Modality, Presence
from structured_reports import codes, wording
from structured_reports.provenance import statements
from structured_reports.writers import content
from structured_reports.writers.comparison import WeighedChanges, prior_headers
from structured_reports.writers.disagreements import contested_findings
from structured_reports.writers.group_parts import answered, concept_in
from structured_reports.writers.writer import Draft


def qualitative_evaluations(draft: Draft, changes: WeighedChanges) -> list[ContentItem]:
    """Build the items of the container: what this object is, what is contested, words, answers in codes."""
    items = [content.text(codes.COMMENT, sentence) for sentence in statements(draft.reading.model)]
    if draft.reading.abstention is not None:
        return [*items, *_abstention(draft.reading.abstention), *_comments(draft.reading.caveats)]
    items += contested_findings(draft)
    items += _narrative(draft)
    items += _comparisons(draft)
    absent = _absent(draft, changes.disputed)
    items += _less_likely(absent) if draft.reading.modality is Modality.DERM else []
    findings = draft.reading.findings
    is_clear = bool(findings) and all(finding.presence is Presence.ABSENT for finding in findings)
    clear = [wording.NO_PRESENT_FINDING] if is_clear else []
    caveats = [caveat for caveat in draft.reading.caveats if caveat != NO_PRIOR]  # said with the comparison
    items += _comments([*clear, *caveats, *changes.refused])
    return items if draft.reading.modality is Modality.DERM else [*items, *_absent_findings(draft, absent)]


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
        sentence = wording.NOT_COMPARED if draft.sources.priors else NO_PRIOR
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


def _absent(draft: Draft, disputed: Sequence[Finding]) -> list[Finding]:
    absent = [finding for finding in draft.reading.findings if finding.presence is Presence.ABSENT]
    return [finding for finding in absent if not any(finding is other for other in disputed)]


def _less_likely(absent: Sequence[Finding]) -> list[ContentItem]:
    """Say of exclusive classes only which were less likely.

    A lesion is of one class: that another was not chosen is no answer to whether it can be excluded.
    """
    likelihoods = [
        (wording.named(f.label, f.laterality), None if f.certainty is None else 1 - float(f.certainty))
        for f in absent
    ]
    return [content.text(codes.COMMENT, wording.less_likely(likelihoods))] if likelihoods else []


def _absent_findings(draft: Draft, absent: Sequence[Finding]) -> list[ContentItem]:
    """Name all absent findings in one line, and answer for each in codes; last, as they may be many."""
    if not absent:
        return []
    names = [
        f"{wording.named(f.label, f.laterality)}{' (contested)' if draft.contest_of(f.label) else ''}"
        for f in absent
    ]
    line = content.text(codes.COMMENT, wording.called_absent(names))
    answers = [_answered_absent(draft, finding) for finding in absent]
    return [content.container(codes.ABSENT_FINDINGS, [line, *answers])]


def _answered_absent(draft: Draft, finding: Finding) -> ContentItem:
    return answered(
        concept_in(draft, finding.label),
        Presence.ABSENT,
        finding.laterality,
        is_contested=draft.contest_of(finding.label) is not None,
    )


def _comments(sentences: Sequence[str]) -> list[ContentItem]:
    return [
        content.text(codes.COMMENT, words) for words in dict.fromkeys(sentences) if wording.clean_text(words)
    ]

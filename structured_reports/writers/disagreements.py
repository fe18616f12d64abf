"""Where the model contradicts itself: first among what a reader sees, in words and in codes."""

from highdicom.sr import ContentItem

from model.reading import Disagreement
from structured_reports import codes, wording
from structured_reports.writers import content
from structured_reports.writers.group_parts import answered, concept_in
from structured_reports.writers.writer import Draft


def contested_findings(draft: Draft) -> list[ContentItem]:
    """Say for every contested finding what each way of asking gave, and what was concluded."""
    return [_contested(draft, disagreement) for disagreement in draft.reading.disagreements]


def _contested(draft: Draft, disagreement: Disagreement) -> ContentItem:
    """Answer in codes by question and value, as absent findings are: nothing here is a finding of its own."""
    items: list[ContentItem] = [
        content.text(codes.COMMENT, wording.contested(disagreement)),
        answered(concept_in(draft, disagreement.label), disagreement.concluded),
    ]
    for way, presence in disagreement.said:
        name = codes.WAYS.get(way) or codes.local_code(way)
        items.append(content.code(name, codes.PRESENCES[presence]))
    return content.container(codes.CONTESTED_FINDING, items)

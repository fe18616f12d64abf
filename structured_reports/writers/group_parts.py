"""What measurement groups of every template are made of: concept, finding site, tracking, further items."""

from collections.abc import Sequence

from highdicom.sr import ContentItem, ContentSequence, FindingSite, TrackingIdentifier

from model.reading import Laterality, Presence
from structured_reports import codes
from structured_reports.codes import Concept, concept_of
from structured_reports.tracking import Tracking
from structured_reports.writers import content
from structured_reports.writers.writer import Draft


def concept_in(draft: Draft, label: str) -> Concept:
    return concept_of(label, codes.REGIONS[draft.reading.modality])


def site(concept: Concept, laterality: Laterality | None) -> FindingSite:
    side = concept.side(laterality)
    return FindingSite(concept.site, laterality=codes.SIDES[side] if side else None)


def tracking_identifier(tracking: Tracking) -> TrackingIdentifier:
    return TrackingIdentifier(uid=tracking.uid, identifier=tracking.identifier)


def answered(
    concept: Concept, presence: Presence, laterality: Laterality | None = None, *, is_contested: bool = False
) -> ContentItem:
    """Answer "is it there?"; as value of Finding a viewer would show the pathology itself, also if absent."""
    item = content.code(concept.code, codes.PRESENCES[presence])
    modifiers: list[ContentItem] = []
    if not concept.says_site:
        modifiers.append(content.code(codes.FINDING_SITE, concept.site, content.MODIFIES))
    if laterality is not None:
        modifiers.append(content.code(codes.LATERALITY, codes.SIDES[laterality], content.MODIFIES))
    if is_contested:
        modifiers.append(content.code(codes.SELF_CONSISTENCY, codes.CONTESTED, content.MODIFIES))
    if modifiers:
        item.ContentSequence = ContentSequence(modifiers)
    return item


def extended(group: ContentItem, items: Sequence[ContentItem]) -> ContentItem:
    for item in items:
        group.ContentSequence.append(item)
    return group

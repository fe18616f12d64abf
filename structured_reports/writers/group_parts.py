"""What measurement groups of every template are made of: concept, finding site, tracking, further items."""

from collections.abc import Sequence

from highdicom.sr import ContentItem, FindingSite, TrackingIdentifier

from model.reading import Laterality
from structured_reports import codes
from structured_reports.codes import Concept, concept_of
from structured_reports.tracking import Tracking
from structured_reports.writers.writer import Draft


def concept_in(draft: Draft, label: str) -> Concept:
    return concept_of(label, codes.REGIONS[draft.reading.modality])


def site(concept: Concept, laterality: Laterality | None) -> FindingSite:
    side = concept.side(laterality)
    return FindingSite(concept.site, laterality=codes.SIDES[side] if side else None)


def tracking_identifier(tracking: Tracking) -> TrackingIdentifier:
    return TrackingIdentifier(uid=tracking.uid, identifier=tracking.identifier)


def extended(group: ContentItem, items: Sequence[ContentItem]) -> ContentItem:
    for item in items:
        group.ContentSequence.append(item)
    return group

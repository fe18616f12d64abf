"""Regions drawn on an image: boxes of findings, of anatomy, and regions that a person asked about (TID 1410).

A group with a box holds no number: viewers look for the coordinates inside the first number and miss the box.
The certainty of a boxed finding stands in the finding's own group under the same Tracking UID.
"""

from highdicom.sr import (
    ContentItem,
    FindingSite,
    GraphicTypeValues,
    ImageRegion,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    SourceImageForRegion,
)
from pydicom.sr.coding import Code

from model.reading import BoundingBox, Laterality, Presence
from structured_reports import codes, wording
from structured_reports.geometry import frame_numbers, rectangle
from structured_reports.stand_in import restore_source, stand_in
from structured_reports.tracking import Tracking
from structured_reports.writers import content
from structured_reports.writers.group_parts import concept_in, extended, site, tracking_identifier
from structured_reports.writers.writer import Draft

FEW_STRUCTURES = 9
"""Up to so many boxes of anatomy stand among the measurements; more would bury the findings there."""


def finding_regions(draft: Draft) -> list[ContentItem]:
    """Draw every box of a finding that is not called absent."""
    groups: list[ContentItem] = []
    for finding in draft.reading.findings:
        for ordinal, box in enumerate(finding.boxes if finding.presence is not Presence.ABSENT else ()):
            tracking = draft.tracker.box_of(finding, ordinal, draft.number_of(finding))
            groups.append(_box_group(draft, box, box.laterality or finding.laterality, tracking))
    return groups


def anatomy_regions(draft: Draft) -> list[ContentItem]:
    """Draw the boxes of anatomy among the measurements, if they are few."""
    return _anatomy_groups(draft) if len(draft.reading.boxes) <= FEW_STRUCTURES else []


def located_anatomy(draft: Draft) -> list[ContentItem]:
    """Put many boxes of anatomy into one container after everything that a reader must read, named in a line.

    The groups are the same as among the measurements (TID 1410), but a viewer that turns every measurement
    into a rectangle does not cover the image with them; the presentation state shows them on layers.
    """
    if len(draft.reading.boxes) <= FEW_STRUCTURES:
        return []
    names = [wording.named(box.label, box.laterality) for box in draft.reading.boxes]
    items = [content.text(codes.COMMENT, wording.located(names)), *_anatomy_groups(draft)]
    return [content.container(codes.LOCATED_ANATOMY, items)]


def captioned_regions(draft: Draft) -> list[ContentItem]:
    """Draw every region that a person asked about, with what the model says of it."""
    groups: list[ContentItem] = []
    for ordinal, caption in enumerate(draft.reading.captions):
        group = _region_group(
            draft, caption.box, codes.DESCRIBED_REGION, None, draft.tracker.caption(caption.box, ordinal)
        )
        words = content.text(codes.SELECTED_REGION_DESCRIPTION, wording.readable_answer(caption.text))
        groups.append(extended(group, [words]))
    return groups


def _anatomy_groups(draft: Draft) -> list[ContentItem]:
    return [_box_group(draft, box, box.laterality, tracking) for box, tracking in draft.tracked_structures()]


def _box_group(draft: Draft, box: BoundingBox, side: Laterality | None, tracking: Tracking) -> ContentItem:
    concept = concept_in(draft, box.label)
    return _region_group(draft, box, concept.code, site(concept, side), tracking)


def _region_group(
    draft: Draft, box: BoundingBox, finding: Code, finding_site: FindingSite | None, tracking: Tracking
) -> ContentItem:
    header = draft.header_of(box.frame)
    region = ImageRegion(
        graphic_type=GraphicTypeValues.POLYLINE,
        graphic_data=rectangle(box, header),
        source_image=SourceImageForRegion(
            stand_in(header).SOPClassUID,
            header.SOPInstanceUID,
            frame_numbers(header, box.frame.frame_number),
        ),
    )
    restore_source(region, header)
    group = PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking_identifier(tracking),
        referenced_region=region,
        finding_type=finding,
        finding_sites=[finding_site] if finding_site is not None else None,
        geometric_purpose=codes.BOUNDED_BY,
    )
    return content.narrowed(group[0])

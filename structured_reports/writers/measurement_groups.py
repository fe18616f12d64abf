"""The measurement groups of a report: findings (TID 1501), regions (TID 1410), masks (TID 1410 and 1411)."""

from collections.abc import Sequence

from highdicom.sr import (
    ContentItem,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    ReferencedSegment,
    ReferencedSegmentationFrame,
    SourceImageForMeasurementGroup,
    SourceImageForSegmentation,
    SourceSeriesForSegmentation,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from model.reading import BoundingBox, Finding, Mask, Presence
from structured_reports import codes, wording
from structured_reports.errors import SourceError
from structured_reports.geometry import frame_numbers, pixel_area_mm2
from structured_reports.tracking import Tracking
from structured_reports.writers import content
from structured_reports.writers.comparison import ChangeSaid, change_items, time_point
from structured_reports.writers.group_parts import concept_in, extended, site, tracking_identifier
from structured_reports.writers.region_groups import anatomy_regions, captioned_regions, finding_regions
from structured_reports.writers.writer import Draft

FEW_IMAGES = 4
"""Up to this many images a finding without a box names all images as its source."""


def measurement_groups(draft: Draft, changes: Sequence[ChangeSaid]) -> list[ContentItem]:
    """Build every group, findings first."""
    groups: list[ContentItem] = []
    said = list(changes)
    for finding in draft.reading.findings:
        if finding.presence is Presence.ABSENT:
            continue
        own = [change for change in said if change.finding is finding]
        said = [change for change in said if change.finding is not finding]
        groups.append(_finding_group(draft, finding, own))
    groups += [_change_group(draft, change) for change in said]
    groups += [*finding_regions(draft), *captioned_regions(draft), *anatomy_regions(draft)]
    groups += [_mask_group(draft, mask, tracking) for mask, tracking in draft.tracked_masks()]
    return groups


def _finding_group(draft: Draft, finding: Finding, changes: Sequence[ChangeSaid]) -> ContentItem:
    concept, contest = concept_in(draft, finding.label), draft.contest_of(finding.label)
    measurements = []
    if finding.certainty is not None and finding.presence is Presence.PRESENT:
        measurements.append(
            Measurement(codes.CERTAINTY, round(100 * float(finding.certainty), 1), codes.PERCENT)
        )
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking_identifier(
            draft.tracker.finding(finding.label, finding.laterality, draft.number_of(finding))
        ),
        time_point_context=time_point(draft) if changes else None,
        finding_type=concept.code,
        finding_sites=[site(concept, finding.laterality)],
        measurements=measurements or None,
        qualitative_evaluations=[
            *([QualitativeEvaluation(codes.SELF_CONSISTENCY, codes.CONTESTED)] if contest else []),
            QualitativeEvaluation(codes.PRESENCE, codes.PRESENCES[finding.presence]),
        ],
        source_images=_source_images(draft, finding.boxes),
    )
    items = [content.text(codes.COMMENT, wording.contested(contest))] if contest else []
    if finding.severity:
        # In the report's own word: context groups of severity know mild, moderate and severe only.
        items.append(content.text(codes.SEVERITY, finding.severity))
    items += [item for change in changes for item in change_items(draft, change)]
    if concept.note:
        items.append(content.text(codes.COMMENT, concept.note))
    if finding.evidence.strip():
        items.append(content.text(codes.COMMENT, finding.evidence))
    return extended(content.narrowed(group[0]), items)


def _change_group(draft: Draft, change: ChangeSaid) -> ContentItem:
    """Say a change that has no group of a finding: one resolved, one since an older prior, an overall one."""
    concept = concept_in(draft, change.change.label)
    presence = change.presence
    answers = [QualitativeEvaluation(codes.PRESENCE, codes.PRESENCES[presence])] if presence else None
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking_identifier(change.tracking),
        time_point_context=time_point(draft),
        finding_type=concept.code,
        finding_sites=[site(concept, change.change.laterality)],
        qualitative_evaluations=answers,
        source_images=_source_images(draft, ()),
    )
    return extended(content.narrowed(group[0]), change_items(draft, change))


def _mask_group(draft: Draft, mask: Mask, tracking: Tracking) -> ContentItem:
    segmentation, segment_number = _segment(draft, tracking)
    build = _planar_mask_group if mask.geometry is None else _volume_group
    return build(draft, mask, tracking, (segmentation, segment_number))


def _planar_mask_group(
    draft: Draft, mask: Mask, tracking: Tracking, segment: tuple[Dataset, int]
) -> ContentItem:
    segmentation, segment_number = segment
    concept = concept_in(draft, mask.label)
    header = draft.header_of(mask.frames[0])
    reference = ReferencedSegmentationFrame(
        sop_class_uid=segmentation.SOPClassUID,
        sop_instance_uid=segmentation.SOPInstanceUID,
        frame_number=_frames_of(segmentation, segment_number),
        segment_number=segment_number,
        source_image=SourceImageForSegmentation(
            header.SOPClassUID, header.SOPInstanceUID, frame_numbers(header, mask.frames[0].frame_number)
        ),
    )
    # A reference names frames or segments, not both (PS3.3 10.3, Image SOP Instance Reference Macro).
    del reference[0].ReferencedSOPSequence[0].ReferencedSegmentNumber
    # A projection image has no plane in the patient: an area on its detector is no measurement of the organ.
    area = pixel_area_mm2(header) if concept.site == codes.SKIN else None
    measurements = (
        [Measurement(codes.AREA, _rounded(mask.voxels.sum() * area / 100), codes.SQUARE_CENTIMETRE)]
        if area is not None
        else None
    )
    group = PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking_identifier(tracking),
        referenced_segment=reference,
        finding_type=concept.code,
        finding_sites=[site(concept, mask.laterality)],
        measurements=measurements,
        finding_category=concept.category,
    )
    return content.narrowed(group[0])


def _volume_group(draft: Draft, mask: Mask, tracking: Tracking, segment: tuple[Dataset, int]) -> ContentItem:
    segmentation, segment_number = segment
    concept = concept_in(draft, mask.label)
    header = draft.header_of(mask.frames[0])
    if mask.geometry is None:
        raise SourceError("a mask without geometry has no volume")
    volume_cm3 = float(mask.voxels.sum()) * mask.geometry.voxel_volume_mm3 / 1000
    group = VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking_identifier(tracking),
        referenced_segment=ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=segment_number,
            source_series=SourceSeriesForSegmentation(header.SeriesInstanceUID),
        ),
        finding_type=concept.code,
        finding_sites=[site(concept, mask.laterality)],
        measurements=[Measurement(codes.VOLUME, _rounded(volume_cm3), codes.CUBIC_CENTIMETRE)],
        finding_category=concept.category,
    )
    cut_off = bool(mask.voxels[0].any() or mask.voxels[-1].any())
    comments = [content.text(codes.COMMENT, wording.CUT_OFF)] if cut_off else []
    return extended(content.narrowed(group[0]), comments)


def _segment(draft: Draft, tracking: Tracking) -> tuple[Dataset, int]:
    """Find a written segment, never one of a label map: DCMTK 3.6 cannot read a report that refers to one."""
    for ds in draft.written:
        is_referable = ds.SOPClassUID == SegmentationStorage
        for segment in ds.get("SegmentSequence", ()) if is_referable else ():
            if segment.TrackingUID == tracking.uid:
                return ds, int(segment.SegmentNumber)
    raise SourceError("a mask has no written segment")


def _frames_of(segmentation: Dataset, segment_number: int) -> list[int]:
    """List the frames of a segment; what all frames share stands in the shared groups (PS3.3 C.7.6.16)."""
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    return [
        number
        for number, group in enumerate(segmentation.PerFrameFunctionalGroupsSequence, start=1)
        for identification in group.get(
            "SegmentIdentificationSequence", shared.get("SegmentIdentificationSequence")
        )
        if identification.ReferencedSegmentNumber == segment_number
    ]


def _source_images(draft: Draft, boxes: Sequence[BoundingBox]) -> list[SourceImageForMeasurementGroup] | None:
    """Name the images a finding rests on; None, by TID 1501, means all that the document names."""
    frames = {(box.frame.sop_instance_uid, box.frame.frame_number): box.frame for box in boxes}
    if frames:
        headers = [(draft.header_of(frame), frame.frame_number) for frame in frames.values()]
    elif len(draft.current) <= FEW_IMAGES:
        headers = [(header, 1) for header in draft.current if header.get("NumberOfFrames", 1) == 1]
    else:
        return None
    return [
        SourceImageForMeasurementGroup(
            header.SOPClassUID, header.SOPInstanceUID, frame_numbers(header, number)
        )
        for header, number in headers
    ] or None


def _rounded(value: float) -> float:
    """Keep four significant digits: more would pretend a precision that a mask does not have."""
    return float(f"{float(value):.4g}")

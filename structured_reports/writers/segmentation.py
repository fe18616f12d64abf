"""Masks as Segmentations (PS3.3 A.51): one per source stack, multi-frame instance or planar image."""

from collections.abc import Sequence

import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import (
    Segmentation,
    SegmentationFractionalTypeValues,
    SegmentationTypeValues,
    SegmentDescription,
)
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from model.reading import Mask
from structured_reports.codes import MORPHOLOGICALLY_ABNORMAL_STRUCTURE, REGIONS, SIDES, concept_of
from structured_reports.colours import colour_of
from structured_reports.finishing import UNFINISHED, SeriesPlace, finished, run_key, series_place
from structured_reports.geometry import is_multi_frame, planar, stacked
from structured_reports.provenance import contributing_equipment, equipment, segmentation_algorithm
from structured_reports.stand_in import restore_source, stand_in
from structured_reports.tracking import Tracking
from structured_reports.wording import named, series_description
from structured_reports.writers.writer import Draft

FIRST_SERIES_NUMBER = 9101
ASSUMED_ORIENTATION = (1, 0, 0, 0, 1, 0)
"""Image Orientation (Patient) that OHIF gives an image without one; it says nothing of the patient."""

TrackedMask = tuple[Mask, Tracking]


def write_segmentations(draft: Draft) -> tuple[Dataset, ...]:
    """Write every mask that is not empty; none written means that there is none."""
    return _segmentations(draft)


def write_segmentations_for_ohif(draft: Draft) -> tuple[Dataset, ...]:
    """Write the same with a plane for images that have none in the patient, as OHIF assumes it of them.

    Its reader (@cornerstonejs/adapters 5.6 to 5.14) refuses a segmentation without Image Orientation. Stacks
    and multi-frame volumes give the very objects of `write_segmentations`.
    """
    return _segmentations(draft, assume_plane=True)


def _segmentations(draft: Draft, *, assume_plane: bool = False) -> tuple[Dataset, ...]:
    series_uids: list[str] = []
    results: list[Dataset] = []
    for masks in _grouped(draft).values():
        sources, is_planar = _sources_of(draft, masks), masks[0][0].geometry is None
        series_uid = str(sources[0].SeriesInstanceUID)
        if series_uid not in series_uids:
            series_uids.append(series_uid)
        number = FIRST_SERIES_NUMBER + series_uids.index(series_uid)
        instance_number = 1 + sum(result.SeriesNumber == number for result in results)
        place = _place(draft, sources[0], number, "assumed plane" if assume_plane and is_planar else "")
        result = _segmentation(draft, masks, sources, place, instance_number)
        if is_planar:
            _fit_planar_source(result, sources[0], assume_plane=assume_plane)
            restore_source(result, sources[0], masks[0][0].frames[0].frame_number)
        results.append(finished(result, draft.source_of(sources[0].SOPInstanceUID), draft.run, place))
    return tuple(results)


def _grouped(draft: Draft) -> dict[str, list[TrackedMask]]:
    """Group masks that can share one object: of one stack, one multi-frame instance or one planar image."""
    groups: dict[str, list[TrackedMask]] = {}
    for mask, tracking in draft.tracked_masks():
        header = draft.header_of(mask.frames[0])
        key = str(header.SOPInstanceUID if is_multi_frame(header) else header.SeriesInstanceUID)
        if mask.geometry is None:
            key = f"{header.SOPInstanceUID} {mask.frames[0].frame_number}"
        groups.setdefault(key, []).append((mask, tracking))
    return groups


def _sources_of(draft: Draft, masks: Sequence[TrackedMask]) -> list[Dataset]:
    found: dict[str, Dataset] = {}
    for mask, _ in masks:
        for frame in mask.frames:
            header = draft.header_of(frame)
            found.setdefault(str(header.SOPInstanceUID), header)
    return list(found.values())


def _place(draft: Draft, source: Dataset, number: int, variant: str) -> SeriesPlace:
    reading, run = draft.reading, draft.run
    study_instance_uid = draft.source_of(source.SOPInstanceUID).StudyInstanceUID
    return series_place(
        "SEG",
        number,
        series_description("segments", reading.modality, run.revision),
        key=(
            *run_key(study_instance_uid, reading.model, run),
            source.SeriesInstanceUID,
            *([variant] if variant else []),
        ),
    )


def _segmentation(
    draft: Draft,
    masks: Sequence[TrackedMask],
    sources: list[Dataset],
    place: SeriesPlace,
    instance_number: int,
) -> Segmentation:
    reading, run = draft.reading, draft.run
    is_planar = masks[0][0].geometry is None
    return Segmentation(
        source_images=[stand_in(sources[0])] if is_planar else sources,
        pixel_array=_pixels(
            [planar(mask, sources[0]) if is_planar else stacked(mask, sources) for mask, _ in masks]
        ),
        segmentation_type=_type_for(sources[0]),
        fractional_type=SegmentationFractionalTypeValues.OCCUPANCY,
        segment_descriptions=[
            _described(draft, segment_number, mask, tracking)
            for segment_number, (mask, tracking) in enumerate(masks, start=1)
        ],
        series_instance_uid=place.uid,
        series_number=place.number,
        sop_instance_uid=UNFINISHED,
        instance_number=instance_number,
        content_label="AI_SEGMENTS",
        content_description="AI segmentation. Research use only. Not verified.",
        omit_empty_frames=True,
        specific_character_set="ISO_IR 192",
        contributing_equipment=[contributing_equipment(reading.model, run)],
        **equipment(reading.model, run),
    )


def _type_for(source: Dataset) -> SegmentationTypeValues:
    """Choose BINARY, unless frames would end inside a byte: archives cannot cut those out."""
    ends_on_byte = int(source.Rows) * int(source.Columns) % 8 == 0
    return SegmentationTypeValues.BINARY if ends_on_byte else SegmentationTypeValues.FRACTIONAL


def _pixels(stacks: list[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """Join stacks (K, J, I) into one label map, or (K, J, I, segments) where segments overlap."""
    labels = np.zeros(stacks[0].shape, dtype=np.uint8)
    for number, stack in enumerate(stacks, start=1):
        if labels[stack].any():
            return np.stack(stacks, axis=-1).astype(np.uint8)
        labels[stack] = number
    return labels


def _described(draft: Draft, number: int, mask: Mask, tracking: Tracking) -> SegmentDescription:
    concept = concept_of(mask.label, REGIONS[draft.reading.modality])
    is_lesion = concept.category == MORPHOLOGICALLY_ABNORMAL_STRUCTURE
    description = SegmentDescription(
        segment_number=number,
        segment_label=named(mask.label, mask.laterality)[:64],
        segmented_property_category=concept.category,
        segmented_property_type=concept.code,
        algorithm_type="AUTOMATIC",
        algorithm_identification=segmentation_algorithm(draft.reading.model),
        tracking_id=tracking.identifier,
        tracking_uid=tracking.uid,
        anatomic_regions=[concept.site] if is_lesion else None,
        display_color=CIELabColor.from_rgb(*colour_of(mask.label)),
    )
    side = concept.side(mask.laterality)
    if side is not None:
        # Inside the type item, where PS3.3 C.8.20.4 has it; highdicom has no argument for it.
        kind = description.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [CodedConcept.from_code(SIDES[side])]
    return description


def _fit_planar_source(result: Segmentation, source: Dataset, *, assume_plane: bool) -> None:
    """Make a segmentation of a projection image or photograph valid and harmless.

    Patient Orientation is type 2C without an orientation in space (PS3.3 C.7.6.1). Pixel Measures without
    orientation make GDCM abort, and with it the archive that previews the object.
    """
    shared = result.SharedFunctionalGroupsSequence[0]
    result.PatientOrientation = source.get("PatientOrientation") or ""
    if "PixelMeasuresSequence" in shared:
        del shared.PixelMeasuresSequence
    if assume_plane:
        orientation = Dataset()
        orientation.ImageOrientationPatient = list(ASSUMED_ORIENTATION)
        shared.PlaneOrientationSequence = [orientation]

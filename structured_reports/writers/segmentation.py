"""Masks as Segmentations (PS3.3 A.51): one per source stack, multi-frame instance or planar image."""

from collections.abc import Sequence
from enum import Enum

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
from pydicom.uid import UID

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
FIRST_LABEL_MAP_SERIES_NUMBER = 9201
LABEL_MAP_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")
"""Label Map Segmentation Storage (PS3.4 B.5, since 2024d), which pydicom 3.0 does not know by name."""
ASSUMED_ORIENTATION = (1, 0, 0, 0, 1, 0)
"""Image Orientation (Patient) that OHIF gives an image without one; it says nothing of the patient."""

TrackedMask = tuple[Mask, Tracking]


class _Form(Enum):
    """How masks are written; the value tells the series of each form apart."""

    SEGMENTS = ""
    ON_ASSUMED_PLANE = "assumed plane"
    LABEL_MAP = "label map"


def write_segmentations(draft: Draft) -> tuple[Dataset, ...]:
    """Write every mask that is not empty; none written means that there is none."""
    return _segmentations(draft, _Form.SEGMENTS)


def write_segmentations_for_ohif(draft: Draft) -> tuple[Dataset, ...]:
    """Write the same with a plane for images that have none in the patient, as OHIF assumes it of them.

    Its reader (@cornerstonejs/adapters 5.6 to 5.14) refuses a segmentation without Image Orientation. Stacks
    and multi-frame volumes give the very objects of `write_segmentations`.
    """
    return _segmentations(draft, _Form.ON_ASSUMED_PLANE)


def write_label_maps(draft: Draft) -> tuple[Dataset, ...]:
    """Write the same masks as Label Map Segmentations (PS3.3 A.51, C.8.20.2): pixels are segment numbers.

    A pixel has one number: masks that overlap go into further objects of the series. Numbers, tracking and
    codes of segments are per object; a report refers to the segments of `write_segmentations`.
    """
    return _segmentations(draft, _Form.LABEL_MAP)


def _segmentations(draft: Draft, form: _Form) -> tuple[Dataset, ...]:
    series_uids: list[str] = []
    results: list[Dataset] = []
    first = FIRST_LABEL_MAP_SERIES_NUMBER if form is _Form.LABEL_MAP else FIRST_SERIES_NUMBER
    for masks in _written_together(draft, form):
        sources, is_planar = _sources_of(draft, masks), masks[0][0].geometry is None
        series_uid = str(sources[0].SeriesInstanceUID)
        if series_uid not in series_uids:
            series_uids.append(series_uid)
        number = first + series_uids.index(series_uid)
        instance_number = 1 + sum(result.SeriesNumber == number for result in results)
        # On a stack, which has its plane, the assumption changes nothing.
        shaped = _Form.SEGMENTS if form is _Form.ON_ASSUMED_PLANE and not is_planar else form
        place = _place(draft, sources[0], number, shaped)
        result = _segmentation(draft, masks, sources, place, instance_number, form=shaped)
        if is_planar:
            _fit_planar_source(result, sources[0], assume_plane=form is _Form.ON_ASSUMED_PLANE)
            restore_source(result, sources[0], masks[0][0].frames[0].frame_number)
        results.append(finished(result, draft.source_of(sources[0].SOPInstanceUID), draft.run, place))
    return tuple(results)


def _written_together(draft: Draft, form: _Form) -> list[list[TrackedMask]]:
    groups = list(_grouped(draft).values())
    return [layer for masks in groups for layer in _layers(masks)] if form is _Form.LABEL_MAP else groups


def _layers(masks: Sequence[TrackedMask]) -> list[list[TrackedMask]]:
    """Part masks of one source so that none in a layer overlap, each into the first layer that has room."""
    layers: list[list[TrackedMask]] = []
    for mask in masks:
        free = (layer for layer in layers if not any(_overlap(mask[0], other) for other, _ in layer))
        layer = next(free, None)
        if layer is None:
            layers.append([mask])
        else:
            layer.append(mask)
    return layers


def _overlap(one: Mask, other: Mask) -> bool:
    if one.frames == other.frames:
        return bool((one.voxels & other.voxels).any())
    planes = dict(zip(other.frames, other.voxels, strict=True))
    return any(
        bool((voxels & planes[frame]).any())
        for frame, voxels in zip(one.frames, one.voxels, strict=True)
        if frame in planes
    )


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


def _place(draft: Draft, source: Dataset, number: int, form: _Form) -> SeriesPlace:
    reading, run = draft.reading, draft.run
    study_instance_uid = draft.source_of(source.SOPInstanceUID).StudyInstanceUID
    return series_place(
        "SEG",
        number,
        series_description(
            "label map" if form is _Form.LABEL_MAP else "segments", reading.modality, run.revision
        ),
        key=(
            *run_key(study_instance_uid, reading.model, run),
            source.SeriesInstanceUID,
            *([form.value] if form.value else []),
        ),
    )


def _segmentation(
    draft: Draft,
    masks: Sequence[TrackedMask],
    sources: list[Dataset],
    place: SeriesPlace,
    instance_number: int,
    *,
    form: _Form,
) -> Segmentation:
    reading, run = draft.reading, draft.run
    is_planar = masks[0][0].geometry is None
    return Segmentation(
        source_images=[stand_in(sources[0])] if is_planar else sources,
        pixel_array=_pixels(
            [planar(mask, sources[0]) if is_planar else stacked(mask, sources) for mask, _ in masks]
        ),
        segmentation_type=_type_for(sources[0], form),
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


def _type_for(source: Dataset, form: _Form) -> SegmentationTypeValues:
    """Choose BINARY, unless frames would end inside a byte: archives cannot cut those out.

    A frame may then begin within a byte too (PS3.5 8.1.1). FRACTIONAL of 0 and 255 takes a byte a pixel, and
    viewers that refuse true fractions take it. Frames of a label map are whole bytes at any size.
    """
    if form is _Form.LABEL_MAP:
        return SegmentationTypeValues.LABELMAP
    ends_on_byte = int(source.Rows) * int(source.Columns) % 8 == 0
    return SegmentationTypeValues.BINARY if ends_on_byte else SegmentationTypeValues.FRACTIONAL


def _pixels(stacks: list[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """Join stacks (K, J, I) into one label map, or (K, J, I, segments) where segments overlap.

    The last axis is outermost in memory: highdicom sums over it and takes segments apart one by one.
    """
    labels = np.zeros(stacks[0].shape, dtype=np.uint8)
    for number, stack in enumerate(stacks, start=1):
        if np.logical_and(labels, stack).any():
            return np.moveaxis(np.stack(stacks).view(np.uint8), 0, -1)
        np.copyto(labels, number, where=stack, casting="unsafe")
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

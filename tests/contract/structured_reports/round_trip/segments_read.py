"""The planes of every segment as highdicom's reader gives them, and as the masks of a reading hold them."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
from highdicom.seg import Segmentation
from pydicom.dataset import Dataset

from model.reading import Reading
from structured_reports.codes import REGIONS, concept_of
from structured_reports.geometry import is_multi_frame, number_of_frames
from tests.contract.structured_reports.round_trip.statements import SIDES

Planes = frozenset[tuple[str, int, bytes]]
"""SOP Instance UID, frame number and packed bits of every plane that holds anything."""

Shapes = Counter[tuple[str, str, Planes]]
"""Code of the type, code of the side, and where it lies."""


def shapes_of_reading(reading: Reading) -> Shapes:
    shapes: Shapes = Counter()
    for mask in reading.masks:
        if mask.voxels.any():
            concept = concept_of(mask.label, REGIONS[reading.modality])
            keys = [(frame.sop_instance_uid, frame.frame_number) for frame in mask.frames]
            shapes[concept.code.value, SIDES[concept.side(mask.laterality)], _planes(keys, mask.voxels)] += 1
    return shapes


def shapes_of_segmentation(segmentation: Segmentation, images: Iterable[Dataset]) -> Shapes:
    """Ask for the pixels that lie on each source image or frame."""
    keys, stacks = [], []
    segments = range(1, segmentation.number_of_segments + 1)
    how = {"ignore_spatial_locations": True, "assert_missing_frames_are_empty": True}
    named = {reference.ReferencedSOPInstanceUID for reference in _sources(segmentation)}
    for ds in images:
        if ds.SOPInstanceUID not in named:
            continue
        uid = str(ds.SOPInstanceUID)
        numbers = list(range(1, number_of_frames(ds) + 1))
        keys += [(uid, number) for number in numbers]
        if is_multi_frame(ds):
            stacks.append(segmentation.get_pixels_by_source_frame(uid, numbers, segments, **how))
        else:
            stacks.append(segmentation.get_pixels_by_source_instance([uid], segments, **how))
    pixels = np.concatenate(stacks)
    shapes: Shapes = Counter()
    for number in segments:
        kind = segmentation.get_segment_description(number).SegmentedPropertyTypeCodeSequence[0]
        sides = kind.get("SegmentedPropertyTypeModifierCodeSequence", ())
        side = next((code.CodeValue for code in sides), "")
        shapes[kind.CodeValue, side, _planes(keys, pixels[..., number - 1] == 1)] += 1
    return shapes


def _sources(segmentation: Segmentation) -> Iterable[Dataset]:
    for group in segmentation.PerFrameFunctionalGroupsSequence:
        for derivation in group.DerivationImageSequence:
            yield from derivation.SourceImageSequence


def _planes(keys: Iterable[tuple[str, int]], voxels: np.ndarray) -> Planes:
    return frozenset(
        (*key, np.packbits(plane).tobytes()) for key, plane in zip(keys, voxels, strict=True) if plane.any()
    )

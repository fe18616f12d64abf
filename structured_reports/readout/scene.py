"""Which frames of which images show best what an object says."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from structured_reports.checks.bundle import is_document, is_result_class, is_segmentation, references_of
from structured_reports.content_tree import walk
from structured_reports.geometry import number_of_frames
from structured_reports.segment_regions import regions_on, source_references

Frame = tuple[str, int]
"""SOP Instance UID and frame number, from 1."""


def named_results(ds: Dataset) -> list[str]:
    """List the SOP Instance UIDs of the other results that an object names."""
    named = (each.sop_instance_uid for each in references_of(ds) if is_result_class(each.sop_class_uid))
    return list(dict.fromkeys(named))


def frames_worth_drawing(results: Sequence[Dataset]) -> list[Frame]:
    """List the frames that objects speak of, that first on which most is marked.

    Coordinates count before segments, and these before what is only named; a reference without a frame number
    is to the first.
    """
    drawn = Counter(frame for ds in results for item in _drawn_on(ds) for frame in _frames(item))
    marked: Counter[Frame] = Counter()
    for ds in filter(is_segmentation, results):
        for frame, pixels in _marked(ds):
            marked[frame] += pixels
    named = [
        (reference.sop_instance_uid, next(iter(reference.frame_numbers), 1))
        for ds in results
        for reference in references_of(ds)
        if not is_result_class(reference.sop_class_uid)
    ]
    return list(dict.fromkeys([*_most_first(drawn), *_most_first(marked), *named]))


def frame_by_place(segmentations: Iterable[Dataset], images: Iterable[Dataset]) -> Frame | None:
    """Find the frame of some images on which most is marked where segmentations name no source."""
    segmentations = list(segmentations)
    found: Counter[Frame] = Counter()
    for image in images:
        for number in range(1, number_of_frames(image) + 1):
            for ds in segmentations:
                pixels = sum(int(region.mask.sum()) for region in regions_on(ds, image, number))
                found[(str(image.SOPInstanceUID), number)] += pixels
    best = max(found, key=lambda frame: found[frame], default=None)
    return best if best is not None and found[best] else None


def _most_first(counts: Counter[Frame]) -> list[Frame]:
    return [frame for frame, _ in counts.most_common()]


def _drawn_on(ds: Dataset) -> Iterator[Dataset]:
    """Yield the reference of every shape of a report or a presentation state."""
    if is_document(ds):
        for item in walk(ds):
            if item.get("ValueType") == "SCOORD":
                for child in item.get("ContentSequence", ()):
                    yield from child.get("ReferencedSOPSequence", ())
    for annotation in ds.get("GraphicAnnotationSequence", ()):
        yield from annotation.get("ReferencedImageSequence", ())


def _marked(ds: Dataset) -> Iterator[tuple[Frame, int]]:
    for index, own in enumerate(ds.get("PerFrameFunctionalGroupsSequence", ())):
        if frames := [frame for source in source_references(own) for frame in _frames(source)]:
            marked = int(np.count_nonzero(pixel_array(ds, index=index)))
            yield from ((frame, marked) for frame in frames)


def _frames(reference: Dataset) -> list[Frame]:
    uid = str(reference.get("ReferencedSOPInstanceUID"))
    said = reference.get("ReferencedFrameNumber")
    numbers = [1] if said is None else [int(said)] if isinstance(said, int | str) else [int(n) for n in said]
    return [(uid, number) for number in numbers]

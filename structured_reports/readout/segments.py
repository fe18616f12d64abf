"""Segmentations as plain values: which segments there are, what they mean, and how much each marks."""

from collections import Counter
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from structured_reports.readout.content_items import code_values


def segment_values(ds: Dataset) -> dict[str, Any]:
    """Tell every segment with its frames and marked pixels; without those where pixels cannot be decoded."""
    frames, pixels = _counts(ds)
    return {
        "segmentation_type": str(ds.get("SegmentationType") or ""),
        "rows": int(ds.get("Rows") or 0),
        "columns": int(ds.get("Columns") or 0),
        "frames": int(ds.get("NumberOfFrames") or 1),
        "segments": [_segment(segment, frames, pixels) for segment in ds.get("SegmentSequence", ())],
    }


def _segment(segment: Dataset, frames: Counter[int], pixels: Counter[int] | None) -> dict[str, Any]:
    number = int(segment.get("SegmentNumber") or 0)
    kind = next(iter(segment.get("SegmentedPropertyTypeCodeSequence", ())), Dataset())
    side = code_values(kind, "SegmentedPropertyTypeModifierCodeSequence")
    told: dict[str, Any] = {
        "number": number,
        "label": str(segment.get("SegmentLabel") or ""),
        "category": code_values(segment, "SegmentedPropertyCategoryCodeSequence"),
        "property": code_values(segment, "SegmentedPropertyTypeCodeSequence"),
        "algorithm_type": str(segment.get("SegmentAlgorithmType") or ""),
        "algorithm": str(segment.get("SegmentAlgorithmName") or ""),
        "frames": frames[number],
        "pixels": None if pixels is None else pixels[number],
    }
    return told | ({"laterality": side} if side else {})


def _counts(ds: Dataset) -> tuple[Counter[int], Counter[int] | None]:
    """Count frames and marked pixels by segment number; a label map has its numbers in its pixels."""
    frames: Counter[int] = Counter()
    pixels: Counter[int] = Counter()
    readable = True
    for index, own in enumerate(ds.get("PerFrameFunctionalGroupsSequence", ())):
        number = _number(own, ds)
        try:
            marked = pixel_array(ds, index=index)
        except (AttributeError, NotImplementedError, RuntimeError, ValueError):
            marked, readable = np.zeros(0), False
        if number is not None:
            frames[number] += 1
            pixels[number] += int(np.count_nonzero(marked))
            continue
        for value, count in zip(*np.unique(marked, return_counts=True), strict=True):
            frames[int(value)] += 1
            pixels[int(value)] += int(count)
    return frames, pixels if readable else None


def _number(own: Dataset, ds: Dataset) -> int | None:
    for holder in (own, *ds.get("SharedFunctionalGroupsSequence", ())):
        for item in holder.get("SegmentIdentificationSequence", ()):
            return int(item.ReferencedSegmentNumber)
    return None

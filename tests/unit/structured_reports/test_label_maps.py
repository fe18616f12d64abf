"""Masks as label maps: the same voxels, beside the segments that reports refer to."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom.dataset import Dataset

from model.reading import Mask, Reading
from model.volume import Geometry
from structured_reports.conformance import publication_faults
from structured_reports.profiles import Profile
from structured_reports.registry import write_results
from structured_reports.sources import Sources
from tests.unit.structured_reports.readings import (
    RUN,
    affine_of,
    chest_reading,
    ct_reading,
    ct_slices,
    ellipse,
    header,
    items,
    key,
    only,
    reread,
    sources,
)

LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"


def label_maps(reading: Reading, given: Sources) -> list[Dataset]:
    results = write_results(reading, given, RUN, Profile.LABEL_MAP)
    return [ds for ds in results if ds.SOPClassUID == LABEL_MAP]


def read(ds: Dataset, folder: Path) -> hd.seg.Segmentation:
    reread(ds, folder)
    return hd.seg.segread(folder / f"{ds.SOPInstanceUID}.dcm")


def test_each_pixel_is_the_number_of_its_segment_or_none(tmp_path: Path):
    slices = ct_slices(6)
    reading = ct_reading(slices)
    (ds,) = label_maps(reading, sources(*slices))
    assert (ds.SegmentationType, ds.BitsAllocated, ds.SegmentsOverlap) == ("LABELMAP", 8, "NO")
    found = read(ds, tmp_path).get_pixels_by_source_instance(
        [each.SOPInstanceUID for each in slices],
        ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
        combine_segments=True,
    )
    numbers = {segment.SegmentLabel: segment.SegmentNumber for segment in ds.SegmentSequence}
    expected = np.zeros_like(found)
    for mask in reading.masks[:3]:
        expected[mask.voxels] = numbers[mask.label]
    assert np.array_equal(found, expected)


def test_segments_share_tracking_with_those_that_the_report_refers_to():
    slices = ct_slices()
    results = write_results(ct_reading(slices), sources(*slices), RUN, Profile.LABEL_MAP)
    binary, label_map = (ds for ds in results if ds.Modality == "SEG")
    tracked = [
        {segment.TrackingUID for segment in ds.SegmentSequence if "TrackingUID" in segment}
        for ds in (binary, label_map)
    ]
    assert tracked[0] == tracked[1]
    assert len(tracked[0]) == 3
    named = {
        reference.ReferencedSOPClassUID
        for item in items(only(results, "SR"))
        for reference in item.get("ReferencedSOPSequence", ())
    }
    assert binary.SOPClassUID in named
    assert LABEL_MAP not in named


def test_a_label_map_is_filed_apart_from_the_segments():
    slices = ct_slices()
    results = write_results(ct_reading(slices), sources(*slices), RUN, Profile.LABEL_MAP)
    binary, label_map = (ds for ds in results if ds.Modality == "SEG")
    assert (binary.SeriesNumber, label_map.SeriesNumber) == (9101, 9201)
    assert binary.SeriesInstanceUID != label_map.SeriesInstanceUID
    assert label_map.SeriesDescription == "AI label map, CT (RESEARCH)"


def test_masks_that_overlap_go_into_further_objects_and_lose_nothing(tmp_path: Path):
    slices = ct_slices(3)
    frames, geometry = tuple(key(ds) for ds in slices), Geometry(affine_of(slices))
    voxels = np.zeros((3, 3, 64, 48), dtype=bool)
    voxels[0, 1, 10:30, 10:30] = voxels[1, 1, 20:40, 20:40] = voxels[2, 2, 5:9, 5:9] = True
    labels = ("liver", "spleen", "pancreas")
    masks = tuple(Mask(label, each, frames, geometry) for label, each in zip(labels, voxels, strict=True))
    found = label_maps(replace(ct_reading(slices), masks=masks), sources(*slices))
    assert [(ds.SeriesNumber, ds.InstanceNumber) for ds in found] == [(9201, 1), (9201, 2)]
    sizes: Counter[str] = Counter()
    for ds in found:
        volume = read(ds, tmp_path).get_volume(combine_segments=True).array
        for segment in ds.SegmentSequence:
            sizes[segment.SegmentLabel] += int((volume == segment.SegmentNumber).sum())
    sizes.pop("Background", None)
    assert sizes == {"liver": 400, "spleen": 400, "pancreas": 16}


@pytest.mark.parametrize(("rows", "columns"), [(64, 48), (61, 43)])
def test_a_radiograph_of_any_size_gets_whole_bytes(rows: int, columns: int, tmp_path: Path):
    ds = header(Rows=rows, Columns=columns)
    masks = (
        Mask("left lung", ellipse(ds, low=(0.1, 0.6), high=(0.5, 0.9)), (key(ds),)),
        Mask("heart", ellipse(ds, low=(0.6, 0.1), high=(0.9, 0.5)), (key(ds),)),
    )
    reading, given = replace(chest_reading(ds), masks=masks), sources(ds)
    (label_map,) = label_maps(reading, given)
    pixels = reread(label_map, tmp_path).pixel_array
    assert len(label_map.PixelData) in {rows * columns, rows * columns + 1}
    assert np.array_equal(np.squeeze(pixels), masks[0].voxels[0] + 2 * masks[1].voxels[0])


def test_the_gate_lets_label_maps_through():
    slices = ct_slices()
    reading, given = ct_reading(slices), sources(*slices)
    results = write_results(reading, given, RUN, Profile.LABEL_MAP)
    assert publication_faults(results, given, reading) == []

"""Masks lie on the source frames they came from."""

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import MultiFrameGrayscaleWordSecondaryCaptureImageStorage

from model.reading import Laterality, Mask
from model.volume import Geometry
from structured_reports.conformance import publication_faults
from structured_reports.errors import CoordinatesError, SourceError
from structured_reports.profiles import Profile
from structured_reports.registry import write_results
from tests.unit.structured_reports.readings import (
    RUN,
    affine_of,
    chest_reading,
    child,
    ct_reading,
    ct_slices,
    ellipse,
    groups,
    header,
    items,
    key,
    only,
    reread,
    sources,
    stored,
    value_of,
)


def read(ds: Dataset, folder: Path) -> hd.seg.Segmentation:
    reread(ds, folder)
    return hd.seg.segread(folder / f"{ds.SOPInstanceUID}.dcm")


def test_enhanced_multi_frame_source_is_segmented_by_frame(tmp_path: Path):
    ds = stored("ct_enhanced", "CT0012.explicit_little_endian.dcm")
    voxels = np.zeros((2, ds.Rows, ds.Columns), dtype=bool)
    voxels[0, 10:20, 30:50] = True  # of frame 2: the mask counts its slices the other way round
    mask = Mask("liver", voxels, (key(ds, 2), key(ds, 1)), Geometry(np.diag([5.0, 1.0, 1.0, 1.0])))
    segmentation = read(
        only(write_results(replace(ct_reading(ct_slices()), masks=(mask,)), sources(ds), RUN), "SEG"),
        tmp_path,
    )
    found = segmentation.get_pixels_by_source_frame(
        ds.SOPInstanceUID, [1, 2], ignore_spatial_locations=True, assert_missing_frames_are_empty=True
    )
    assert not found[0].any()
    assert np.array_equal(found[1, ..., 0].astype(bool), voxels[0])


def test_M04_empty_frames_and_empty_masks_are_left_out(ct_results: tuple[Dataset, ...]):
    segmentation, report = only(ct_results, "SEG"), only(ct_results, "SR")
    assert [segment.SegmentLabel for segment in segmentation.SegmentSequence] == [
        "liver",
        "spleen",
        "kidneys",
    ]
    assert segmentation.NumberOfFrames == 5 + 2 + 3
    assert len(groups(report)) == 3


def test_segments_are_binary_automatic_coded_and_tracked(ct_results: tuple[Dataset, ...]):
    segmentation = only(ct_results, "SEG")
    assert segmentation.SegmentationType == "BINARY"
    for number, segment in enumerate(segmentation.SegmentSequence, start=1):
        assert segment.SegmentNumber == number
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"
        assert "abababab" in algorithm.AlgorithmVersion
        assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "91723000"


@pytest.mark.parametrize(
    ("label", "side"), [("left lung", "7771000"), ("right lung", "24028007"), ("heart", None)]
)
def test_side_is_a_modifier_of_the_type(label: str, side: str | None, chest_results: tuple[Dataset, ...]):
    segment = next(s for s in only(chest_results, "SEG").SegmentSequence if s.SegmentLabel == label)
    modifiers = segment.SegmentedPropertyTypeCodeSequence[0].get(
        "SegmentedPropertyTypeModifierCodeSequence", ()
    )
    assert [code.CodeValue for code in modifiers] == ([side] if side else [])


def test_both_kidneys_are_right_and_left(ct_results: tuple[Dataset, ...]):
    kidneys = only(ct_results, "SEG").SegmentSequence[2].SegmentedPropertyTypeCodeSequence[0]
    assert kidneys.CodeValue == "64033007"
    assert kidneys.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == "51440002"


def test_segment_and_report_share_tracking(ct_results: tuple[Dataset, ...]):
    segments = {(s.TrackingID, s.TrackingUID) for s in only(ct_results, "SEG").SegmentSequence}
    said = {
        (child(group, "112039").TextValue, child(group, "112040").UID)
        for group in groups(only(ct_results, "SR"))
    }
    assert segments == said


def test_organ_cut_off_by_the_stack_is_said_to_be():
    slices = ct_slices(6)
    report = only(write_results(ct_reading(slices), sources(*slices), RUN), "SR")
    cut = {child(g, "112039").TextValue: child(g, "121106") is not None for g in groups(report)}
    assert cut == {"liver": True, "spleen": False, "kidneys": True}


def test_planar_source_gets_its_orientation_and_no_pixel_measures(chest_results: tuple[Dataset, ...]):
    segmentation = only(chest_results, "SEG")
    assert list(segmentation.PatientOrientation) == ["L", "F"]
    assert "PixelMeasuresSequence" not in segmentation.SharedFunctionalGroupsSequence[0]


def test_planar_source_without_orientation_gets_an_empty_one():
    ds = header(PatientOrientation=None)
    segmentation = only(write_results(chest_reading(ds), sources(ds), RUN), "SEG")
    assert segmentation["PatientOrientation"].is_empty


def test_frames_that_would_end_inside_a_byte_are_written_as_full_or_empty_bytes(tmp_path: Path):
    ds = header(Rows=61, Columns=43)
    reading = chest_reading(ds)
    segmentation = only(write_results(reading, sources(ds), RUN), "SEG")
    assert segmentation.SegmentationType == "FRACTIONAL"
    assert segmentation.MaximumFractionalValue == 255
    pixels = reread(segmentation, tmp_path).pixel_array
    assert set(np.unique(pixels)) == {0, 255}
    assert np.array_equal(pixels[0] == 255, reading.masks[0].voxels[0])


def test_overlapping_masks_keep_their_overlap(tmp_path: Path):
    slices = ct_slices(3)
    voxels = np.zeros((3, 64, 48), dtype=bool)
    voxels[1, 10:30, 10:30] = True
    frames, geometry = tuple(key(ds) for ds in slices), Geometry(affine_of(slices))
    masks = (Mask("liver", voxels, frames, geometry), Mask("spleen", voxels, frames, geometry))
    segmentation = read(
        only(write_results(replace(ct_reading(slices), masks=masks), sources(*slices), RUN), "SEG"), tmp_path
    )
    found = segmentation.get_volume(combine_segments=False).array
    assert found[..., 0].sum() == found[..., 1].sum() == 400


def test_two_views_in_one_series_get_an_object_each():
    frontal, lateral = header(), header(SOPInstanceUID="1.2.3.4.1.2", Rows=32, Columns=32)
    masks = tuple(
        Mask("heart", ellipse(ds, low=(0.2, 0.2), high=(0.8, 0.8)), (key(ds),)) for ds in (frontal, lateral)
    )
    reading = replace(chest_reading(frontal), masks=masks)
    results = write_results(reading, sources(frontal, lateral), RUN)
    segmentations = [ds for ds in results if ds.Modality == "SEG"]
    assert [(ds.SeriesNumber, ds.InstanceNumber) for ds in segmentations] == [(9101, 1), (9101, 2)]
    assert len({ds.SeriesInstanceUID for ds in segmentations}) == 1
    uids = {ds.SegmentSequence[0].TrackingUID for ds in segmentations}
    assert len(uids) == 2


def test_series_of_a_study_get_a_segmentation_series_each():
    first, second = ct_slices(3), ct_slices(3)
    for number, ds in enumerate(second):
        ds.SeriesInstanceUID, ds.SOPInstanceUID = "1.2.3.4.2", f"1.2.3.4.2.{number}"
    reading = ct_reading(first)
    reading = replace(reading, masks=(reading.masks[0], ct_reading(second).masks[0]))
    results = write_results(reading, sources(*first, *second), RUN)
    segmentations = [ds for ds in results if ds.Modality == "SEG"]
    assert [ds.SeriesNumber for ds in segmentations] == [9101, 9102]


def test_mask_on_an_unknown_instance_is_refused():
    ds, other = header(), header(SOPInstanceUID="1.2.3.4.1.77")
    with pytest.raises(SourceError):
        write_results(chest_reading(other), sources(ds), RUN)


def test_mask_of_another_size_than_its_source_is_refused():
    ds = header()
    mask = Mask("heart", np.ones((1, 10, 10), dtype=bool), (key(ds),))
    with pytest.raises(CoordinatesError):
        write_results(replace(chest_reading(ds), masks=(mask,)), sources(ds), RUN)


def test_side_of_a_mask_that_its_label_does_not_name():
    ds = header()
    mask = Mask(
        "pleural effusion", ellipse(ds, low=(0.6, 0.6), high=(0.9, 0.9)), (key(ds),), None, Laterality.LEFT
    )
    results = write_results(replace(chest_reading(ds), masks=(mask,)), sources(ds), RUN)
    segment = only(results, "SEG").SegmentSequence[0]
    kind = segment.SegmentedPropertyTypeCodeSequence[0]
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == "7771000"
    assert segment.AnatomicRegionSequence[0].CodeValue == "3120008"
    group = next(g for g in groups(only(results, "SR")) if child(g, "121214"))
    site = child(group, "363698007")
    assert site is not None
    assert value_of(site.ContentSequence[0]) == "7771000"


def test_planar_source_of_any_class_is_named_by_its_own_class_and_frame():
    ds = header(MultiFrameGrayscaleWordSecondaryCaptureImageStorage, NumberOfFrames=3)
    mask = Mask("heart", ellipse(ds, low=(0.2, 0.2), high=(0.8, 0.8)), (key(ds, 2),))
    results = write_results(replace(chest_reading(ds), masks=(mask,)), sources(ds), RUN)
    source = (
        only(results, "SEG")
        .PerFrameFunctionalGroupsSequence[0]
        .DerivationImageSequence[0]
        .SourceImageSequence[0]
    )
    assert source.ReferencedSOPClassUID == MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    assert source.ReferencedFrameNumber == 2
    group = next(g for g in groups(only(results, "SR")) if child(g, "121214"))
    reference = child(group, "121233").ReferencedSOPSequence[0]
    assert reference.ReferencedSOPClassUID == MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    assert reference.ReferencedFrameNumber == 2


@pytest.mark.parametrize("sop_class_uid", ["1.2.840.10008.5.1.4.1.1.6", "1.2.826.0.1.3680043.9.1234.1"])
def test_source_of_a_retired_or_private_class_is_built_on_and_named(sop_class_uid: str):
    ds = header(sop_class_uid)
    reading, given = chest_reading(ds), sources(ds)
    results = write_results(reading, given, RUN, Profile.FULL)
    assert [result.Modality for result in results] == ["SEG", "PR", "KO", "SR", "SR"]
    assert publication_faults(results, given, reading) == []
    assert only(results, "SEG").SourceImageSequence[0].ReferencedSOPClassUID == sop_class_uid
    selected = [item for item in items(only(results, "KO")) if item.ValueType == "IMAGE"]
    assert {item.ReferencedSOPSequence[0].ReferencedSOPClassUID for item in selected} == {sop_class_uid}

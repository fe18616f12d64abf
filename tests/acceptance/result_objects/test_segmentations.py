"""Checks 32 to 38: masks lie where their source lies, from the network's grid to the file."""

import json
import random
import sys
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage

from model.imaging.selection import select_images
from model.reading import Mask, Modality, Reading, Task
from model.transforms import placement_of
from model.volume import Geometry, Volume
from structured_reports import codes
from structured_reports.content_tree import code_of, groups
from structured_reports.registry import write_results
from tests.acceptance.result_objects.objects import BUNDLES, with_pixels, write
from tests.acceptance.result_objects.programs import run
from tests.unit.structured_reports.readings import (
    MODEL,
    RUN,
    affine_of,
    chest_reading,
    ct_reading,
    ct_slices,
    ellipse,
    header,
    key,
    only,
    sources,
)


def segmented(reading: Reading, slices: list[Dataset], folder: Path) -> hd.seg.Segmentation:
    """Write the segmentation of a reading and let highdicom read it."""
    return hd.seg.segread(write(only(write_results(reading, sources(*slices), RUN), "SEG"), folder))


@pytest.mark.parametrize("order", ["file", "reversed", "shuffled"])
def test_check_32_every_slice_of_a_mask_lies_on_its_source_instance(order: str, tmp_path: Path):
    slices = ct_slices(6)
    reading = ct_reading(slices)
    given = list(slices)
    if order == "reversed":
        given.reverse()
    elif order == "shuffled":
        random.Random(1).shuffle(given)
    segmentation = segmented(reading, given, tmp_path)
    found = segmentation.get_pixels_by_source_instance(
        [ds.SOPInstanceUID for ds in slices],
        ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )
    labels = [segment.SegmentLabel for segment in segmentation.SegmentSequence]
    for mask in reading.masks[:3]:
        assert np.array_equal(found[..., labels.index(mask.label)].astype(bool), mask.voxels)


def test_check_33_an_organ_on_the_networks_grid_keeps_centre_and_volume_in_the_file(tmp_path: Path):
    """An ellipsoid on 300 slices, seen on the published grid of 64 x 192 x 192 and brought back."""
    slices = ct_slices(300, step_mm=1.0)
    for ds in slices:
        ds.Rows = ds.Columns = 256
        ds.PixelSpacing = [1.4, 1.4]
    geometry = Geometry(affine_of(slices))
    centre_mm, radii_mm = geometry.to_patient(np.array([140.3, 121.7, 133.2])), np.array([70.0, 55.0, 80.0])
    # Slices run along z, rows along y, columns along x.
    along = [
        geometry.affine[2 - a, a] * np.arange(n) + geometry.affine[2 - a, 3]
        for a, n in enumerate((300, 256, 256))
    ]
    z, y, x = (((mm - centre_mm[2 - a]) / radii_mm[2 - a]) ** 2 for a, mm in enumerate(along))
    inside = z[:, None, None] + y[:, None] + x <= 1
    frames = tuple(key(ds) for ds in slices)
    placement = placement_of(Volume(inside.astype(np.float32), geometry, frames))
    seen = placement.to_grid(inside.astype(np.float32), (64, 192, 192))
    back = placement.mask_to_source(np.ascontiguousarray(seen)) >= 0.5
    reading = Reading(
        Modality.CT, MODEL, (Task.SEGMENTATION,), masks=(Mask("liver", back, frames, geometry),)
    )
    volume = segmented(reading, slices, tmp_path).get_volume(combine_segments=True)
    points_mm = np.argwhere(volume.array) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    assert np.linalg.norm(points_mm.mean(axis=0) - centre_mm) < 0.2
    assert len(points_mm) * volume.voxel_volume == pytest.approx(4 / 3 * np.pi * radii_mm.prod(), rel=0.01)


def tilted(slices: list[Dataset]) -> list[Dataset]:
    """Turn an axial stack about the x axis by 30 degrees."""
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    for number, ds in enumerate(slices):
        ds.ImageOrientationPatient = [1, 0, 0, 0, round(c, 6), round(s, 6)]
        ds.ImagePositionPatient = [-10.0, round(2.0 * number * s, 6), round(-2.0 * number * c, 6)]
    return slices


def source_affine(positions: list[NDArray[np.float64]], like: Dataset) -> NDArray[np.float64]:
    """PS3.3 C.7.6.2.1.1, written out: (k, j, i) to millimetres for slices at `positions`."""
    orientation = np.array(like.ImageOrientationPatient, dtype=float)
    affine = np.eye(4)
    affine[:3, 0] = positions[1] - positions[0]
    affine[:3, 1], affine[:3, 2] = orientation[3:] * 0.5, orientation[:3] * 0.5
    affine[:3, 3] = positions[0]
    return affine


def assert_lies_on(segmentation: hd.seg.Segmentation, affine: NDArray[np.float64], count: int) -> None:
    """Compare with the affine of the source, or with that of the source counted from its other end."""
    found = segmentation.get_volume(combine_segments=True).affine
    reverse = affine.copy()
    reverse[:3, 3] += (count - 1) * affine[:3, 0]
    reverse[:3, 0] *= -1
    assert np.allclose(found, affine, atol=1e-3) or np.allclose(found, reverse, atol=1e-3)


@pytest.mark.parametrize("stack", ["axial", "oblique", "feet first"])
def test_check_34_a_segmentation_has_the_affine_of_its_source(stack: str, tmp_path: Path):
    slices = ct_slices(5)
    slices = tilted(slices) if stack == "oblique" else slices[::-1] if stack == "feet first" else slices
    positions = [np.array(ds.ImagePositionPatient, dtype=float) for ds in slices]
    liver = replace(ct_reading(slices), masks=ct_reading(slices).masks[:1])
    assert_lies_on(segmented(liver, slices, tmp_path), source_affine(positions, slices[0]), 5)


def enhanced(count: int) -> Dataset:
    """Make the header of an enhanced CT: one instance whose functional groups hold the planes."""
    ds = ct_slices(1)[0]
    ds.SOPClassUID, ds.NumberOfFrames = EnhancedCTImageStorage, count
    plane, measures = Dataset(), Dataset()
    plane.ImageOrientationPatient = ds.ImageOrientationPatient
    measures.PixelSpacing, measures.SliceThickness = ds.PixelSpacing, 2.0
    shared = Dataset()
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [plane], [measures]
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = []
    for number in range(count):
        position, group = Dataset(), Dataset()
        position.ImagePositionPatient = [-10.0, -20.0, 100.0 - 2.0 * number]
        group.PlanePositionSequence = [position]
        ds.PerFrameFunctionalGroupsSequence.append(group)
    return ds


def test_check_34_a_segmentation_of_an_enhanced_image_has_its_affine(tmp_path: Path):
    ds = enhanced(4)
    positions = [
        np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        for group in ds.PerFrameFunctionalGroupsSequence
    ]
    affine = source_affine(positions, ds)
    voxels = np.repeat(ellipse(ds, low=(0.2, 0.2), high=(0.6, 0.6)), 4, axis=0)
    mask = Mask("liver", voxels, tuple(key(ds, number) for number in (1, 2, 3, 4)), Geometry(affine))
    reading = Reading(Modality.CT, MODEL, (Task.SEGMENTATION,), masks=(mask,))
    assert_lies_on(segmented(reading, [ds], tmp_path), affine, 4)


def uneven() -> list[Dataset]:
    slices = [with_pixels(ds) for ds in ct_slices(5)]
    slices[2].ImagePositionPatient = [-10.0, -20.0, 100.0 - 2.0 * 3 + 0.7]
    return slices


def test_check_35_a_mask_on_uneven_slices_keeps_the_position_of_every_slice(tmp_path: Path):
    slices = uneven()
    positions = {
        tuple(round(float(value), 3) for value in group.PlanePositionSequence[0].ImagePositionPatient)
        for group in segmented(ct_reading(slices), slices, tmp_path).PerFrameFunctionalGroupsSequence
    }
    assert positions == {tuple(round(float(v), 3) for v in ds.ImagePositionPatient) for ds in slices}


def test_check_35_a_study_of_uneven_slices_is_left_out_with_that_reason():
    """The network sees an even grid: what no grid can hold is not read at all, which the job says."""
    selection = select_images(uneven())
    assert selection.images == ()
    assert len(selection.left_out) == 5
    assert all("unevenly spaced" in exclusion.reason for exclusion in selection.left_out)


def test_check_36_without_a_mask_there_is_no_segmentation_and_no_reference_to_one():
    ds = header()
    empty = Mask("heart", np.zeros((1, 64, 48), dtype=bool), (key(ds),))
    results = write_results(replace(chest_reading(ds), masks=(empty,)), sources(ds), RUN)
    assert [result.Modality for result in results] == ["PR", "SR"]
    named = [str(element.value) for element in results[-1].iterall() if element.VR == "UI"]
    assert "1.2.840.10008.5.1.4.1.1.66.4" not in named


def test_check_36_an_organ_that_was_not_found_has_no_segment_and_no_group():
    bundle = BUNDLES["CT"]()
    assert "pancreas" in {mask.label for mask in bundle.reading.masks if not mask.voxels.any()}
    (segmentation,) = bundle.of("SEG")
    assert [s.SegmentLabel for s in segmentation.SegmentSequence] == ["liver", "spleen", "kidneys"]
    said = {code_of(group, codes.FINDING) for group in groups(bundle.report)}
    assert codes.CONCEPTS["pancreas"].code.value not in said


def test_check_37_four_organs_on_300_slices_cost_little(tmp_path: Path):
    """In seconds of the processor, so that a busy machine fails nothing."""
    found = run(sys.executable, "-m", "tests.acceptance.result_objects.large_segmentation", tmp_path)
    assert found.returncode == 0, found.stderr
    said = json.loads(found.stdout)
    assert (said["type"], said["segments"]) == ("BINARY", 4)
    assert said["processor_s"] < 15
    assert said["bytes"] < 20e6
    assert said["peak_gib"] < 4


@pytest.mark.parametrize(
    ("organ", "side"),
    [
        ("left lung", "7771000"),
        ("right lung", "24028007"),
        ("left kidney", "7771000"),
        ("right kidney", "24028007"),
    ],
)
def test_check_38_the_side_is_a_modifier_of_the_type(organ: str, side: str):
    ds = header()
    mask = Mask(organ, ellipse(ds, low=(0.2, 0.2), high=(0.6, 0.6)), (key(ds),))
    results = write_results(replace(chest_reading(ds), masks=(mask,)), sources(ds), RUN)
    (segment,) = only(results, "SEG").SegmentSequence
    (kind,) = segment.SegmentedPropertyTypeCodeSequence
    (modifier,) = kind.SegmentedPropertyTypeModifierCodeSequence
    assert modifier.CodeValue == side

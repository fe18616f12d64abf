"""Volumes come from geometry: any order, any stored direction, exact affine; broken stacks are refused."""

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage

from model.errors import GeometryError, PixelError
from model.imaging.series import tilt_degrees, volume_from_series


def hu_at(volume: Any, point_mm: tuple[float, float, float]) -> float:
    k, j, i = np.rint(volume.geometry.to_index(np.array(point_mm, float))).astype(int)
    return float(volume.voxels[k, j, i])


def test_D17_stack_is_sorted_from_feet_to_head(ct_slice: Any) -> None:
    slices = [ct_slice(z) for z in (10.0, 0.0, 15.0, 5.0)]
    volume = volume_from_series(slices)
    assert volume.voxels[:, 0, 0].tolist() == [0, 5, 10, 15]
    uids = [slices[n].SOPInstanceUID for n in (1, 3, 0, 2)]
    assert [frame.sop_instance_uid for frame in volume.frames] == uids
    # Columns of the affine: step to the next slice, row, column; then the first voxel's centre.
    expected = [[0, 0, 1, -10], [0, 2, 0, -20], [5, 0, 0, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.geometry.affine, expected)


def test_D17_instance_number_and_slice_thickness_are_not_believed(ct_slice: Any) -> None:
    slices = [ct_slice(z, InstanceNumber=n, SliceThickness=3) for n, z in enumerate((4.0, 0.0, 2.0))]
    volume = volume_from_series(slices)
    assert volume.geometry.spacing_mm == pytest.approx((2, 2, 1))


def test_prone_patient_is_turned_and_his_voxels_keep_their_place(ct_slice: Any) -> None:
    stored = np.arange(12, dtype=np.uint16).reshape(4, 3) + 1024
    slices = [ct_slice(z, stored, ImageOrientationPatient=[-1, 0, 0, 0, -1, 0]) for z in (0.0, 5.0, 10.0)]
    volume = volume_from_series(slices)
    # Stored pixel (j, i) = (1, 2) lies at x = -10 - 2 * 1, y = -20 - 1 * 2 and holds 1 * 3 + 2.
    assert hu_at(volume, (-12, -22, 5)) == 5
    assert (np.diag(volume.geometry.affine[:3, [2, 1, 0]]) > 0).all()
    np.testing.assert_array_equal(volume.orientation.undo(volume.voxels)[0], stored - 1024.0)
    source = volume.orientation.undo_geometry(volume.geometry, volume.voxels.shape[1:])
    np.testing.assert_allclose(source.to_patient(np.array([0.0, 0, 0])), [-10, -20, 0])


def test_transposed_plane_is_turned(ct_slice: Any) -> None:
    stored = np.arange(12, dtype=np.uint16).reshape(4, 3) + 1024
    slices = [ct_slice(z, stored, ImageOrientationPatient=[0, 1, 0, 1, 0, 0]) for z in (0.0, 5.0, 10.0)]
    volume = volume_from_series(slices)
    # Rows run along y (1 mm apart), columns along x (2 mm apart): pixel (3, 1) is x = -10 + 6, y = -20 + 1.
    assert volume.voxels.shape == (3, 3, 4)
    assert hu_at(volume, (-4, -19, 10)) == 10
    np.testing.assert_array_equal(volume.orientation.undo(volume.voxels)[2], stored - 1024.0)


def test_D17_oblique_plane_is_exact(ct_slice: Any) -> None:
    angle = np.radians(20)
    row = np.array([np.cos(angle), np.sin(angle), 0])
    column = np.array([-np.sin(angle), np.cos(angle), 0])
    slices = [ct_slice(z, ImageOrientationPatient=[*row, *column]) for z in (0.0, 5.0, 10.0)]
    volume = volume_from_series(slices)
    expected = np.array([-10, -20, 0]) + 2 * np.array([0, 0, 5]) + 3 * 2 * column + 1 * row
    np.testing.assert_allclose(volume.geometry.to_patient(np.array([2.0, 3, 1])), expected, atol=1e-6)


def test_D17_gantry_tilt_is_sheared_into_the_affine(ct_slice: Any) -> None:
    angle = np.radians(18.5)
    column = [0, np.cos(angle), np.sin(angle)]
    slices = [ct_slice(z, ImageOrientationPatient=[1, 0, 0, *column]) for z in (0.0, 5.0, 10.0, 15.0)]
    volume = volume_from_series(slices)
    np.testing.assert_allclose(volume.geometry.affine[:3, 0], [0, 0, 5])
    assert tilt_degrees(volume) == pytest.approx(18.5, abs=1e-3)
    # Sheared: the volume of a voxel is its base times its height along the normal, 5 cos 18.5.
    assert volume.geometry.voxel_volume_mm3 == pytest.approx(2 * 5 * np.cos(angle))


def test_upright_stack_has_no_tilt(ct_slice: Any) -> None:
    assert tilt_degrees(volume_from_series([ct_slice(z) for z in (0.0, 1.0, 2.0)])) == pytest.approx(
        0, abs=1e-3
    )


@pytest.mark.parametrize(
    ("positions", "reason"),
    [
        ((0.0, 5.0), "too few"),
        ((0.0, 5.0, 15.0, 20.0), "gap of 10.00 mm between slices that are 5.00 mm apart"),
        ((0.0, 5.0, 5.0, 10.0), "repeated"),
        ((0.0, 5.0, 11.0, 15.0), "unevenly"),
    ],
)
def test_D17_broken_stack_is_refused(ct_slice: Any, positions: tuple[float, ...], reason: str) -> None:
    with pytest.raises(GeometryError, match=reason):
        volume_from_series([ct_slice(z) for z in positions])


def test_positions_rounded_to_a_tenth_are_even_enough(ct_slice: Any) -> None:
    volume = volume_from_series([ct_slice(round(n * 0.625, 1)) for n in range(20)])
    assert volume.geometry.spacing_mm[0] == pytest.approx(0.625, abs=0.01)


@pytest.mark.parametrize(
    "elements",
    [
        {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]},
        {"PixelSpacing": [2.0, 1.5]},
        {"ImagePositionPatient": None},
        {"ImagePositionPatient": [0, 0]},
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        {"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]},
        {"PixelSpacing": [0, 1]},
    ],
)
def test_D17_one_slice_that_does_not_belong_is_refused(ct_slice: Any, elements: dict[str, Any]) -> None:
    with pytest.raises(GeometryError):
        volume_from_series([ct_slice(0.0), ct_slice(5.0), ct_slice(10.0, **elements)])


def test_coronal_stack_is_refused(ct_slice: Any) -> None:
    slices = [
        ct_slice(ImageOrientationPatient=[1, 0, 0, 0, 0, -1], ImagePositionPatient=[0, y, 0])
        for y in (0, 1, 2)
    ]
    with pytest.raises(GeometryError, match="not axial"):
        volume_from_series(slices)


def test_D14_rescale_is_each_slice_s_own(ct_slice: Any) -> None:
    stored = np.full((4, 3), 1000, np.uint16)
    slices = [ct_slice(0.0, stored), ct_slice(5.0, stored, RescaleIntercept=-1000), ct_slice(10.0, stored)]
    slices[2].RescaleSlope = 2
    assert volume_from_series(slices).voxels[:, 0, 0].tolist() == [-24, 0, 976]


def test_D14_padding_becomes_air(ct_slice: Any) -> None:
    stored = np.full((4, 3), 40, np.int16)
    stored[0, 0] = -2000
    slices = [ct_slice(z, stored, RescaleIntercept=0, PixelPaddingValue=-2000) for z in (0.0, 5.0, 10.0)]
    assert volume_from_series(slices).voxels[0, 0, :2].tolist() == [-1000, 40]


def test_values_that_are_no_hounsfield_units_are_refused(ct_slice: Any) -> None:
    slices = [ct_slice(z, RescaleType="mgml") for z in (0.0, 5.0, 10.0)]
    with pytest.raises(PixelError, match="Hounsfield"):
        volume_from_series(slices)


def enhanced(ct_slice: Any, positions: tuple[float, ...]) -> Dataset:
    """One multi-frame instance: position and intercept per frame, the rest shared."""
    stored = np.stack([np.full((4, 3), 1000 + n, np.uint16) for n in range(len(positions))])
    ds = ct_slice(
        0.0, stored[0], ImagePositionPatient=None, ImageOrientationPatient=None, PixelSpacing=None,
        RescaleSlope=None, RescaleIntercept=None,
    )  # fmt: skip
    ds.SOPClassUID = EnhancedCTImageStorage
    ds.NumberOfFrames = len(positions)
    ds.PixelData = stored.tobytes()
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing = [2.0, 1.0]
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelMeasuresSequence = Sequence([measures])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    groups: list[Dataset] = []
    for z in positions:
        group, position, value = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [-10, -20, z]
        value.RescaleSlope, value.RescaleIntercept, value.RescaleType = 1, -1000 + z, "HU"
        group.PlanePositionSequence = Sequence([position])
        group.PixelValueTransformationSequence = Sequence([value])
        groups.append(group)
    ds.PerFrameFunctionalGroupsSequence = Sequence(groups)
    return ds


def test_enhanced_instance_is_stacked_by_its_functional_groups(ct_slice: Any) -> None:
    ds = enhanced(ct_slice, (10.0, 0.0, 5.0))
    volume = volume_from_series([ds])
    # Frame n holds 1000 + n; its intercept is -1000 + z.
    assert volume.voxels[:, 0, 0].tolist() == [1, 7, 10]
    assert [frame.frame_number for frame in volume.frames] == [2, 3, 1]
    assert volume.geometry.spacing_mm == pytest.approx((5, 2, 1))


def test_enhanced_instance_with_too_few_groups_is_refused(ct_slice: Any) -> None:
    ds = enhanced(ct_slice, (10.0, 0.0, 5.0))
    del ds.PerFrameFunctionalGroupsSequence[0]
    with pytest.raises(GeometryError, match="2 functional groups for 3 frames"):
        volume_from_series([ds])

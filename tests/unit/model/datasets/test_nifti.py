"""NIfTI scans lie in DICOM's patient space, whatever way their axes run, and are served in one pose."""

from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, ornt_transform

from model.errors import GeometryError, PixelError
from model.training.datasets.nifti import labels_from_nifti, volume_from_nifti
from model.transforms import volume_to_grid

SPACING_MM = (0.8, 0.9, 2.5)
ORIGIN_MM = (-120.0, -90.0, 300.0)
POSES = ["".join(letters) for order in permutations(("LR", "PA", "IS")) for letters in product(*order)]
"""All 48 ways in which the axes of a file can run."""


def _ras_image(shape: tuple[int, int, int], dtype: type = np.int16) -> nibabel.Nifti1Image:
    """(I, J, K) towards right, front and head; every value is another."""
    affine = np.diag([*SPACING_MM, 1.0])
    affine[:3, 3] = ORIGIN_MM
    return nibabel.Nifti1Image(np.arange(np.prod(shape)).reshape(shape).astype(dtype), affine)


def _saved(image: nibabel.Nifti1Image, path: Path, pose: str = "RAS") -> Path:
    turned = image.as_reoriented(ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(pose)))
    nibabel.save(turned, path)
    return path


@pytest.mark.parametrize("pose", POSES)
def test_each_voxel_lies_where_the_file_puts_it(tmp_path: Path, pose: str) -> None:
    image = _ras_image((3, 4, 5))
    volume = volume_from_nifti(_saved(image, tmp_path / "scan.nii.gz", pose))
    assert volume.voxels.dtype == np.float32
    for right, front, head in ((0, 0, 0), (2, 1, 3), (1, 3, 4)):
        value = image.get_fdata()[right, front, head]
        (found,) = np.argwhere(volume.voxels == value)
        ras = np.multiply((right, front, head), SPACING_MM) + ORIGIN_MM
        np.testing.assert_allclose(
            volume.geometry.to_patient(found.astype(float)), (-ras[0], -ras[1], ras[2]), atol=1e-4
        )


@pytest.mark.parametrize("pose", POSES)
def test_every_pose_is_served_alike(tmp_path: Path, pose: str) -> None:
    """Network axes run towards the head, the left and the back (`model.transforms`)."""
    image = _ras_image((6, 7, 5))
    grid, placement = volume_to_grid(volume_from_nifti(_saved(image, tmp_path / "a.nii.gz", pose)), (5, 6, 7))
    expected = image.get_fdata().transpose(2, 0, 1)[:, ::-1, ::-1]
    posed = placement.to_grid(volume_from_nifti(tmp_path / "a.nii.gz").voxels, (5, 6, 7))
    np.testing.assert_array_equal(posed, expected)
    order = np.argsort(np.clip(expected, -200, 300).ravel(), kind="stable")
    assert (np.diff(grid[0].ravel()[order]) >= 0).all()


def test_scaling_of_the_file_is_applied(tmp_path: Path) -> None:
    """Siemens and others store unsigned values with an intercept: value = slope * stored + inter."""
    image = nibabel.Nifti1Image(np.array([[[0, 1024, 2047]]], np.int16), np.eye(4))
    image.header.set_slope_inter(1.0, -1024.0)
    nibabel.save(image, tmp_path / "scan.nii")
    assert volume_from_nifti(tmp_path / "scan.nii").voxels.ravel().tolist() == [-1024, 0, 1023]


def test_labels_lie_on_their_scan(tmp_path: Path) -> None:
    volume = volume_from_nifti(_saved(_ras_image((3, 4, 5)), tmp_path / "scan.nii.gz", "LPS"))
    labels = labels_from_nifti(_saved(_ras_image((3, 4, 5)), tmp_path / "mask.nii.gz", "LPS"), volume)
    np.testing.assert_array_equal(labels, volume.voxels.astype(int))


def _shifted(image: nibabel.Nifti1Image, millimetres: float) -> nibabel.Nifti1Image:
    affine = image.affine.copy()
    affine[2, 3] += millimetres
    return nibabel.Nifti1Image(np.asarray(image.dataobj), affine)


def test_labels_that_lie_elsewhere_are_refused(tmp_path: Path) -> None:
    scan = _ras_image((3, 4, 5))
    volume = volume_from_nifti(_saved(scan, tmp_path / "scan.nii.gz"))
    wrong = {
        "mirrored": (scan, "LAS"),
        "turned": (_ras_image((5, 4, 3)), "RAS"),
        "far": (_shifted(scan, 246), "RAS"),
    }
    for name, (image, pose) in wrong.items():
        path = _saved(image, tmp_path / f"{name}.nii.gz", pose)
        with pytest.raises(GeometryError):
            labels_from_nifti(path, volume)
    labels_from_nifti(_saved(_shifted(scan, 0.05), tmp_path / "rounded.nii.gz"), volume)


def test_labels_must_be_whole_numbers(tmp_path: Path) -> None:
    scan = _ras_image((3, 4, 5))
    volume = volume_from_nifti(_saved(scan, tmp_path / "scan.nii.gz"))
    half = nibabel.Nifti1Image(np.full((3, 4, 5), 0.5, np.float32), scan.affine)
    nibabel.save(half, tmp_path / "half.nii.gz")
    with pytest.raises(PixelError, match="between labels"):
        labels_from_nifti(tmp_path / "half.nii.gz", volume)


def _bytes(tmp_path: Path, image: nibabel.Nifti1Image) -> bytes:
    return _saved(image, tmp_path / "whole.nii.gz").read_bytes()


def test_what_is_no_scan_is_refused(tmp_path: Path) -> None:
    whole = _bytes(tmp_path, nibabel.Nifti1Image(np.random.default_rng(0).random((40, 40, 40)), np.eye(4)))
    files = {
        "absent.nii.gz": None,
        "text.nii.gz": b"no scan",
        "cut.nii.gz": whole[: len(whole) // 2],
        "flat.nii": nibabel.Nifti1Image(np.zeros((4, 4), np.int16), np.eye(4)).to_bytes(),
        "moving.nii": nibabel.Nifti1Image(np.zeros((4, 4, 4, 2), np.int16), np.eye(4)).to_bytes(),
    }
    for name, content in files.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(PixelError):
            volume_from_nifti(tmp_path / name)


def test_an_affine_that_flattens_space_is_refused(tmp_path: Path) -> None:
    """srow_z, at byte 312 of the header, says how head-foot depends on the indices."""
    content = bytearray(_ras_image((2, 2, 2)).to_bytes())
    content[312:328] = bytes(16)
    (tmp_path / "flat.nii").write_bytes(content)
    with pytest.raises(GeometryError):
        volume_from_nifti(tmp_path / "flat.nii")

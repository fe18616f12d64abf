"""Pictures, volumes and masks of every kind lie alike: what is at the top left of one is there in all.

The picture is an L that no mirroring and no turn leaves as it is.
"""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from model.errors import DatasetError, GeometryError, PixelError
from model.training.datasets.pixels import (
    is_volume,
    load_picture,
    load_planar_mask,
    load_volume,
    load_volume_masks,
)
from model.training.datasets.record import RecordImage, RecordMask
from model.training.datasets.run_lengths import runs_of_mask
from model.transforms import volume_to_grid
from model.volume import View
from tests.unit.model.imaging.conftest import DatasetMaker

ROWS, COLUMNS = 32, 48
SHAPE: NDArray[np.bool_] = np.zeros((ROWS, COLUMNS), bool)
SHAPE[:, :16] = True
SHAPE[16:, :32] = True
PICTURE = np.where(SHAPE, 200, 40).astype(np.uint8)


def _picture(folder: Path, name: str) -> RecordImage:
    grey = Image.fromarray(PICTURE)
    make = {
        "grey.png": lambda: grey,
        "colour.png": lambda: grey.convert("RGB"),
        "alpha.png": lambda: grey.convert("RGBA"),
        "palette.png": lambda: grey.quantize(8),
        "photo.jpg": lambda: grey,
        "PHOTO.JPEG": lambda: grey.convert("RGB"),
    }[name]
    make().save(folder / name)
    return RecordImage(name, "PA")


@pytest.mark.parametrize(
    "name", ["grey.png", "colour.png", "alpha.png", "palette.png", "photo.jpg", "PHOTO.JPEG"]
)
def test_every_picture_file_is_seen_alike(tmp_path: Path, name: str) -> None:
    seen = load_picture(tmp_path, _picture(tmp_path, name))
    assert (seen.pixels.dtype, seen.pixels.shape[:2], seen.view) == (
        np.float32,
        (ROWS, COLUMNS),
        View.FRONTAL,
    )
    channels = seen.pixels if seen.pixels.ndim == 3 else seen.pixels[..., None]
    for channel in np.moveaxis(channels, -1, 0):
        np.testing.assert_allclose(channel * 255, PICTURE, rtol=1e-5, atol=0 if "png" in name else 3)


def test_deep_pictures_are_windowed_from_darkest_to_brightest(tmp_path: Path) -> None:
    Image.fromarray(np.array([[1000, 2000], [1500, 3000]], np.uint16)).save(tmp_path / "deep.png")
    seen = load_picture(tmp_path, RecordImage("deep.png"))
    np.testing.assert_allclose(seen.pixels, [[0, 0.5], [0.25, 1]])


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (["L", "F"], PICTURE),
        (["R", "F"], PICTURE[:, ::-1]),
        (["L", "H"], PICTURE[::-1]),
        (["F", "L"], PICTURE.T),
    ],
)
def test_dicom_is_hung_and_so_are_its_masks(
    tmp_path: Path, radiograph: DatasetMaker, orientation: list[str], stored: NDArray[np.uint8]
) -> None:
    """A mask belongs to the stored rows and columns; whatever way they run, it follows its picture."""
    ds = radiograph(np.ascontiguousarray(stored), PatientOrientation=orientation)
    ds.save_as(tmp_path / "chest.dcm", enforce_file_format=True)
    seen = load_picture(tmp_path, RecordImage("chest.dcm", "PA"))
    np.testing.assert_array_equal(seen.pixels > 0.5, SHAPE)
    mask = RecordMask("heart", 0, rle=runs_of_mask(stored > 100))
    np.testing.assert_array_equal(load_planar_mask(tmp_path, mask, seen), SHAPE)


def test_a_lateral_view_is_known(tmp_path: Path) -> None:
    _picture(tmp_path, "grey.png")
    views = {
        view: load_picture(tmp_path, RecordImage("grey.png", view)).view for view in ("LL", "lateral", None)
    }
    assert views == {"LL": View.LATERAL, "lateral": View.LATERAL, None: View.UNKNOWN}


def _mask(folder: Path, kind: str) -> RecordMask:
    if kind == "runs":
        return RecordMask("lesion", 0, rle=runs_of_mask(SHAPE))
    if kind == "white on black":
        Image.fromarray(np.where(SHAPE, 255, 0).astype(np.uint8)).save(folder / "mask.png")
    elif kind == "one bit":
        Image.fromarray(SHAPE).save(folder / "mask.png")
    elif kind == "in colour":
        Image.fromarray(np.where(SHAPE, 255, 0).astype(np.uint8)).convert("RGB").save(folder / "mask.png")
    else:
        labels = Image.fromarray(np.where(SHAPE, 2, 1).astype(np.uint8))
        if kind == "palette label":
            labels = labels.convert("P")
            labels.putpalette([0, 0, 0, 255, 255, 255, 0, 0, 0])
        labels.save(folder / "mask.png")
        return RecordMask("lesion", 0, "mask.png", value=2)
    return RecordMask("lesion", 0, "mask.png")


@pytest.mark.parametrize("kind", ["runs", "white on black", "one bit", "in colour", "label", "palette label"])
def test_every_kind_of_mask_lies_on_its_picture(tmp_path: Path, kind: str) -> None:
    seen = load_picture(tmp_path, _picture(tmp_path, "grey.png"))
    np.testing.assert_array_equal(load_planar_mask(tmp_path, _mask(tmp_path, kind), seen), SHAPE)


def test_a_mask_of_the_original_fits_a_smaller_copy(tmp_path: Path) -> None:
    """CheXmask draws on the original of CheXpert; the small release has the same field of view."""
    seen = load_picture(tmp_path, _picture(tmp_path, "grey.png"))
    large = RecordMask("heart", 0, rle=runs_of_mask(np.kron(SHAPE, np.ones((5, 5), bool))))
    np.testing.assert_array_equal(load_planar_mask(tmp_path, large, seen), SHAPE)


def test_a_mask_of_another_shape_is_refused(tmp_path: Path) -> None:
    seen = load_picture(tmp_path, _picture(tmp_path, "grey.png"))
    with pytest.raises(PixelError, match="not of one shape"):
        load_planar_mask(tmp_path, RecordMask("heart", 0, rle=runs_of_mask(SHAPE.T)), seen)


def test_a_ct_series_and_its_nifti_copy_are_one_volume(tmp_path: Path, ct_slice: DatasetMaker) -> None:
    """The copy counts i, j, k towards left, back and head, as the slices do; NIfTI calls that LPS."""
    stored = np.arange(5 * 4 * 3, dtype=np.uint16).reshape(5, 4, 3) * 10 + 800
    (tmp_path / "series").mkdir()
    for k, plane in enumerate(stored):
        ct_slice(z=3.0 * k, stored=plane, InstanceNumber=9 - k).save_as(
            tmp_path / "series" / f"{9 - k}.dcm", enforce_file_format=True
        )
    affine = np.diag([-1.0, -2.0, 3.0, 1.0])
    affine[:3, 3] = (10.0, 20.0, 0.0)
    hounsfield = stored.astype(np.int16).transpose(2, 1, 0) - 1024
    nibabel.save(nibabel.Nifti1Image(hounsfield, affine), tmp_path / "copy.nii.gz")
    series, copy = RecordImage("series"), RecordImage("copy.nii.gz")
    assert is_volume(tmp_path, series)
    assert is_volume(tmp_path, copy)
    first, second = load_volume(tmp_path, series), load_volume(tmp_path, copy)
    np.testing.assert_array_equal(first.voxels, second.voxels)
    np.testing.assert_allclose(first.geometry.affine, second.geometry.affine, atol=1e-5)


def _abdomen(folder: Path, pose: str) -> tuple[RecordImage, tuple[RecordMask, ...]]:
    """A liver (1) on the right, front and top; a spleen (3) on the left, back and top; kidneys at the bottom.

    Axes are made to run right, front, head and then turned to `pose`.
    """
    labels = np.zeros((20, 20, 12), np.uint8)
    labels[12:18, 10:18, 6:11] = 1
    labels[2:5, 2:6, 7:11] = 3
    labels[3:7, 3:6, 1:4] = labels[13:17, 3:6, 1:4] = 2
    scan = np.array([-100, 90, 40, 60], np.int16)[labels] + np.arange(12, dtype=np.int16)
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(pose)
    )
    affine = np.diag([1.5, 1.5, 5.0, 1.0])
    for name, array in (("scan.nii.gz", scan), ("labels.nii.gz", labels)):
        nibabel.save(nibabel.Nifti1Image(array, affine).as_reoriented(turn), folder / name)
    masks = [RecordMask(label, 0, "labels.nii.gz", value=n) for n, label in ((1, "liver"), (3, "spleen"))]
    return RecordImage("scan.nii.gz"), tuple(masks)


@pytest.mark.parametrize("pose", ["RAS", "LPS", "LAS", "PIR", "SLA"])
def test_organs_are_on_their_side_on_the_network_grid(tmp_path: Path, pose: str) -> None:
    """Network axes run to the head, the left and the back: the liver is low on the last two."""
    image, masks = _abdomen(tmp_path, pose)
    volume = load_volume(tmp_path, image)
    _, placement = volume_to_grid(volume, (12, 20, 20))
    liver, spleen = (
        placement.to_grid(voxels, (12, 20, 20)) for voxels in load_volume_masks(tmp_path, masks, volume)
    )
    expected = np.zeros((2, 12, 20, 20), bool)
    expected[0, 6:11, 2:8, 2:10] = True
    expected[1, 7:11, 15:18, 14:18] = True
    np.testing.assert_array_equal(liver, expected[0])
    np.testing.assert_array_equal(spleen, expected[1])


def test_labels_without_a_value_are_all_that_is_above_zero(tmp_path: Path) -> None:
    image, masks = _abdomen(tmp_path, "RAS")
    volume = load_volume(tmp_path, image)
    liver, spleen, every = load_volume_masks(
        tmp_path, (*masks, RecordMask("organs", 0, "labels.nii.gz")), volume
    )
    kidneys = 2 * 4 * 3 * 3
    assert every.sum() == liver.sum() + spleen.sum() + kidneys


def test_labels_of_another_scan_are_refused(tmp_path: Path) -> None:
    image, masks = _abdomen(tmp_path, "RAS")
    volume = load_volume(tmp_path, image)
    _abdomen(tmp_path, "LPS")
    with pytest.raises(GeometryError):
        load_volume_masks(tmp_path, masks, volume)


def test_damaged_and_missing_files_are_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "text.dcm").write_text("no picture")
    (tmp_path / "empty").mkdir()
    for name in ("cut.png", "text.jpg", "text.dcm", "absent.png", "absent.dcm"):
        with pytest.raises(PixelError):
            load_picture(tmp_path, RecordImage(name))
    with pytest.raises(GeometryError):
        load_volume(tmp_path, RecordImage("empty"))


def test_a_picture_that_claims_too_many_pixels_is_not_read(tmp_path: Path) -> None:
    Image.new("1", (10_000, 6_000)).save(tmp_path / "huge.png")
    with pytest.raises(PixelError, match="10000 x 6000"):
        load_picture(tmp_path, RecordImage("huge.png"))


@pytest.mark.parametrize("path", ["../secret.png", "/etc/secret.png", "a/../../secret.png"])
def test_a_path_that_leads_out_of_the_source_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(DatasetError, match="outside"):
        load_picture(tmp_path, RecordImage(path))

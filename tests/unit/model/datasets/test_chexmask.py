"""CheXmask beside the pictures of its five sources, each in the layout of its publisher."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.errors import DatasetError
from model.training.datasets.chexmask import CHEXMASK_READER
from model.training.datasets.pixels import load_picture, load_planar_mask
from model.training.datasets.record import Record
from tests.unit.model.datasets.drawn_mimic import FRONTAL, JPG, TESTED, draw_mimic, image_file, write_table
from tests.unit.model.datasets.refused import refusals
from tests.unit.model.imaging.conftest import DatasetMaker

MASKS = "chexmask-cxr-segmentation-data/1.0.0/OriginalResolution"
COLUMNS, ROWS = 40, 50
LEFT_LUNG, RIGHT_LUNG, HEART = (np.zeros((ROWS, COLUMNS), bool) for _ in range(3))
LEFT_LUNG[5:40, 24:36] = True
RIGHT_LUNG[5:42, 4:16] = True
HEART[25:42, 16:30] = True


def _published(mask: np.ndarray) -> str:
    """Encode as CheXmask's authors do: start (from 1) and length of each run, row by row."""
    runs = []
    flat = mask.ravel()
    for n, inside in enumerate(flat):
        if inside and (n == 0 or not flat[n - 1]):
            length = next((k for k, on in enumerate(flat[n:]) if not on), len(flat) - n)
            runs += [n + 1, length]
    return " ".join(map(str, runs))


def _row(column: str, key: str, quality: str = "0.86", **cells: str) -> dict[str, str]:
    return {
        "": "0",
        column: key,
        "Dice RCA (Max)": "0.91",
        "Dice RCA (Mean)": quality,
        "Landmarks": "[12,13,\n14,15]",
        "Left Lung": _published(LEFT_LUNG),
        "Right Lung": _published(RIGHT_LUNG),
        "Heart": _published(HEART),
        "Height": str(ROWS),
        "Width": str(COLUMNS),
        **cells,
    }


def _picture(path: Path, scale: int = 1, dtype: type = np.uint8) -> None:
    """The patient's left lung is bright and the right one dim, on the side where a radiograph shows them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.where(LEFT_LUNG, 200, np.where(RIGHT_LUNG, 100, 0))
    if dtype is np.uint16:
        pixels = pixels * 20
    Image.fromarray(np.kron(pixels, np.ones((scale, scale))).astype(dtype)).save(path)


def _records(source: Path) -> dict[str, Record]:
    return {record.record_id: record for record in CHEXMASK_READER.records(source)}


def _check_sides(source: Path, record: Record) -> None:
    seen = load_picture(source, record.images[0])
    left, right, heart = (load_planar_mask(source, mask, seen) for mask in record.masks)
    assert [mask.label for mask in record.masks] == ["left lung", "right lung", "heart"]
    assert seen.pixels[left & ~heart].mean() > 0.7 > 0.55 > seen.pixels[right & ~heart].mean() > 0.3
    assert np.argwhere(left)[:, 1].mean() > seen.pixels.shape[1] / 2 > np.argwhere(right)[:, 1].mean()


def test_mimic_follows_its_official_split(tmp_path: Path) -> None:
    source = draw_mimic(tmp_path)
    _picture(source / JPG / image_file(FRONTAL))
    write_table(source / MASKS / "MIMIC-CXR-JPG.csv", [_row("dicom_id", name) for name in (FRONTAL, TESTED)])
    assert CHEXMASK_READER.check(source) == []
    records = _records(source)
    train, test = records[f"MIMIC-CXR-JPG/{FRONTAL}"], records[f"MIMIC-CXR-JPG/{TESTED}"]
    assert (train.split, test.split) == ("train", "test")
    assert (train.images[0].view, train.images[0].size) == ("PA", (COLUMNS, ROWS))
    _check_sides(source, train)


def test_masks_are_what_the_publisher_encoded(tmp_path: Path) -> None:
    source = draw_mimic(tmp_path)
    write_table(source / MASKS / "MIMIC-CXR-JPG.csv", [_row("dicom_id", FRONTAL)])
    (record,) = _records(source).values()
    seen = load_picture(source, record.images[0])
    for mask, expected in zip(record.masks, (LEFT_LUNG, RIGHT_LUNG, HEART), strict=True):
        np.testing.assert_array_equal(load_planar_mask(source, mask, seen), expected)


@pytest.mark.parametrize("folder", ["CheXpert-v1.0", "CheXpert-v1.0-small"])
def test_chexpert_is_found_in_either_size(tmp_path: Path, folder: str) -> None:
    path = "valid/patient64541/study1/view1_frontal.jpg"
    _picture(tmp_path / folder / path, scale=1 if "small" in folder else 8)
    size = {"Height": str(8 * ROWS), "Width": str(8 * COLUMNS)}
    masks = {
        name: _published(np.kron(mask, np.ones((8, 8), bool)))
        for name, mask in (("Left Lung", LEFT_LUNG), ("Right Lung", RIGHT_LUNG), ("Heart", HEART))
    }
    write_table(tmp_path / MASKS / "CheXpert.csv", [_row("Path", path, **size, **masks)])
    assert CHEXMASK_READER.check(tmp_path) == []
    (record,) = _records(tmp_path).values()
    assert (record.split, record.subject, record.images[0].view) == (
        "validate",
        "CheXpert/patient64541",
        "FRONTAL",
    )
    _check_sides(tmp_path, record)


def test_nih_follows_its_lists(tmp_path: Path) -> None:
    _picture(tmp_path / "ChestX-Ray8/images_003/images/00000042_001.png")
    (tmp_path / "ChestX-Ray8/test_list.txt").write_text("00000042_001.png")
    write_table(tmp_path / MASKS / "ChestX-Ray8.csv", [_row("Image Index", "00000042_001.png")])
    (record,) = _records(tmp_path).values()
    assert (record.split, record.subject) == ("test", "ChestX-Ray8/42")
    _check_sides(tmp_path, record)


def test_padchest_pictures_are_deep_and_parted_by_patient(tmp_path: Path) -> None:
    _picture(tmp_path / "Padchest/12/216840_01-178-104.png", dtype=np.uint16)
    name = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
    listed = {"ImageID": "216840_01-178-104.png", "ImageDir": "12", "StudyID": "S", "PatientID": "P"}
    write_table(tmp_path / "Padchest" / name, [{**listed, "Projection": "PA"}])
    write_table(tmp_path / MASKS / "Padchest.csv", [_row("ImageID", "216840_01-178-104.png")])
    (record,) = _records(tmp_path).values()
    assert (record.subject, record.study, record.images[0].view) == ("Padchest/P", "Padchest/S", "PA")
    _check_sides(tmp_path, record)


@pytest.mark.parametrize("part", ["train", "test"])
def test_vindr_pictures_are_dicom(tmp_path: Path, radiograph: DatasetMaker, part: str) -> None:
    path = tmp_path / "vindr-cxr/1.0.0" / part / "abc.dicom"
    path.parent.mkdir(parents=True)
    stored = np.where(LEFT_LUNG, 200, np.where(RIGHT_LUNG, 100, 0)).astype(np.uint8)
    radiograph(stored).save_as(path, enforce_file_format=True)
    write_table(tmp_path / MASKS / "VinDr-CXR.csv", [_row("image_id", "abc")])
    (record,) = _records(tmp_path).values()
    assert record.split == part
    _check_sides(tmp_path, record)


def test_bad_rows_cost_only_themselves(tmp_path: Path) -> None:
    """The publisher advises against masks whose estimated Dice is below 0.7."""
    source = draw_mimic(tmp_path)
    rows = [
        _row("dicom_id", FRONTAL, quality="0.7"),
        _row("dicom_id", FRONTAL, quality="0.69"),
        _row("dicom_id", FRONTAL, quality=""),
        _row("dicom_id", "unheard-of"),
        _row("dicom_id", FRONTAL, Heart="1 2 3"),
        _row("dicom_id", FRONTAL, Heart="1999 5"),
        _row("dicom_id", FRONTAL, Width="40.5"),
    ]
    write_table(source / MASKS / "MIMIC-CXR-JPG.csv", rows)
    assert len(_records(source)) == 1
    assert list(refusals(CHEXMASK_READER, source).values()) == [
        "Dice RCA (Mean) is below 0.7",
        "Dice RCA (Mean) is below 0.7",
        "MIMIC-CXR-JPG does not name its image",
        "a run has no length",
        "runs overlap or leave the image",
        "Width or Height is no number of pixels",
    ]


def test_missing_pictures_and_tables_are_named(tmp_path: Path) -> None:
    source = draw_mimic(tmp_path)
    write_table(source / MASKS / "MIMIC-CXR-JPG.csv", [_row("dicom_id", name) for name in (FRONTAL, TESTED)])
    (source / JPG / image_file(TESTED)).unlink()
    write_table(source / MASKS / "Padchest.csv", [_row("ImageID", "x.png")])
    found = [(one.path, one.problem) for one in CHEXMASK_READER.check(source)]
    assert found[0] == (f"{JPG}/{image_file(TESTED)}", "missing")
    assert found[1][0] == "Padchest"
    assert "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv is missing" in found[1][1]
    (source / MASKS / "Padchest.csv").unlink()
    assert refusals(CHEXMASK_READER, source) != {}


def test_without_tables_those_of_the_paper_are_named(tmp_path: Path) -> None:
    assert [one.path for one in CHEXMASK_READER.check(tmp_path)] == [
        f"{MASKS}/MIMIC-CXR-JPG.csv",
        f"{MASKS}/CheXpert.csv",
    ]
    with pytest.raises(DatasetError, match="OriginalResolution"):
        CHEXMASK_READER.cases(tmp_path)

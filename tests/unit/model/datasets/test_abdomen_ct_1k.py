"""AbdomenCT-1K in the layout of Zenodo: scans in three parts, label maps of four organs."""

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
import pytest

from model.errors import DatasetError
from model.reading import Modality
from model.training.datasets.abdomen_ct_1k import ABDOMEN_CT_1K_READER
from model.training.datasets.pixels import load_volume, load_volume_masks
from model.vocabulary import RELEASED
from tests.unit.model.datasets.refused import refusals

PARTS = {1: "AbdomenCT-1K-ImagePart1", 401: "AbdomenCT-1K-ImagePart2", 1062: "AbdomenCT-1K-ImagePart3"}
LABELS = np.zeros((8, 8, 6), np.uint8)
LABELS[5:8, 4:7, 3:6] = 1
LABELS[1, 1:3, 1:3] = LABELS[6, 1:3, 1:3] = 2
LABELS[0:2, 2:4, 4:6] = 3
LABELS[3:5, 3, 2:4] = 4


def _download(source: Path, numbers: Sequence[int] = tuple(PARTS)) -> Path:
    affine = np.diag([-0.8, -0.8, 2.5, 1.0])
    for number in numbers:
        part = source / PARTS.get(number, PARTS[1])
        part.mkdir(parents=True, exist_ok=True)
        (source / "Mask").mkdir(exist_ok=True)
        scan = (LABELS.astype(np.int16) * 30 - 100).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(scan, affine), part / f"Case_{number:05d}_0000.nii.gz")
        nibabel.save(nibabel.Nifti1Image(LABELS, affine), source / "Mask" / f"Case_{number:05d}.nii.gz")
    return source


def test_each_labelled_scan_is_one_record(tmp_path: Path) -> None:
    records = list(ABDOMEN_CT_1K_READER.records(_download(tmp_path)))
    assert [record.record_id for record in records] == ["Case_00001", "Case_00401", "Case_01062"]
    assert {record.modality for record in records} == {Modality.CT}
    assert [record.images[0].path for record in records] == [
        f"{part}/Case_{number:05d}_0000.nii.gz" for number, part in PARTS.items()
    ]


def test_organs_are_the_published_values(tmp_path: Path) -> None:
    """1 liver, 2 kidney, 3 spleen, 4 pancreas."""
    source = _download(tmp_path, [1])
    (record,) = ABDOMEN_CT_1K_READER.records(source)
    assert {mask.label for mask in record.masks} == set(RELEASED.abdominal_organs)
    volume = load_volume(source, record.images[0])
    masks = load_volume_masks(source, record.masks, volume)
    voxels = {mask.label: int(found.sum()) for mask, found in zip(record.masks, masks, strict=True)}
    assert voxels == {"liver": 27, "kidney": 8, "spleen": 8, "pancreas": 4}
    hounsfield = {
        mask.label: float(volume.voxels[found].mean())
        for mask, found in zip(record.masks, masks, strict=True)
    }
    assert hounsfield == {"liver": -70, "kidney": -40, "spleen": -10, "pancreas": 20}


def test_one_scan_in_ten_is_held_out(tmp_path: Path) -> None:
    (tmp_path / "Mask").mkdir()
    (tmp_path / PARTS[1]).mkdir()
    whole = _download(tmp_path / "one", [1])
    scan = (whole / PARTS[1] / "Case_00001_0000.nii.gz").read_bytes()
    for n in range(1, 401):
        (tmp_path / PARTS[1] / f"Case_{n:05d}_0000.nii.gz").write_bytes(scan)
        (tmp_path / "Mask" / f"Case_{n:05d}.nii.gz").write_bytes(scan)
    splits = [record.split for record in ABDOMEN_CT_1K_READER.records(tmp_path)]
    assert set(splits) == {"train", "test"}
    assert 22 <= splits.count("test") <= 58


def test_scans_without_published_labels_are_left_alone(tmp_path: Path) -> None:
    source = _download(tmp_path)
    (source / "Mask" / "Case_00401.nii.gz").unlink()
    assert len(list(ABDOMEN_CT_1K_READER.records(source))) == 2


def test_missing_and_cut_files_are_named(tmp_path: Path) -> None:
    source = _download(tmp_path)
    (source / PARTS[401] / "Case_00401_0000.nii.gz").unlink()
    scan = source / PARTS[1062] / "Case_01062_0000.nii.gz"
    scan.write_bytes(scan.read_bytes()[:-20])
    found = [(one.path, one.problem, one.get_from) for one in ABDOMEN_CT_1K_READER.check(source)]
    assert found == [
        ("Mask/Case_*.nii.gz", "missing: 997 of 1000 files", "https://zenodo.org/records/5903769"),
        (f"{PARTS[401]}/Case_00401_0000.nii.gz", "missing", "https://zenodo.org/records/5903846"),
        (f"{PARTS[1062]}/Case_01062_0000.nii.gz", "truncated", "https://zenodo.org/records/5903769"),
    ]
    assert refusals(ABDOMEN_CT_1K_READER, source) == {
        "Case_00401": "a file of it is missing",
        "Case_01062": "a file of it is truncated",
    }


def test_an_archive_that_holds_its_own_folder_is_found(tmp_path: Path) -> None:
    source = _download(tmp_path, [1])
    (source / PARTS[1]).rename(source / "unpacked")
    (source / PARTS[1]).mkdir()
    (source / "unpacked").rename(source / PARTS[1] / PARTS[1])
    assert len(ABDOMEN_CT_1K_READER.check(source)) == 1
    assert len(list(ABDOMEN_CT_1K_READER.records(source))) == 1


def test_an_empty_folder_is_no_download(tmp_path: Path) -> None:
    (missing,) = ABDOMEN_CT_1K_READER.check(tmp_path)
    assert missing.problem == "missing: 1000 of 1000 files"
    with pytest.raises(DatasetError, match="Mask"):
        ABDOMEN_CT_1K_READER.cases(tmp_path)

"""Volumes that are kept on a network's grid are seen as their scans are, to the last bit."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from nibabel.orientations import axcodes2ornt, ornt_transform
from numpy.typing import NDArray

from model.reading import Modality
from model.training.commands import train
from model.training.datasets.pixels import load_volume, load_volume_masks
from model.training.datasets.prepared import PreparedDataset
from model.training.datasets.record import Record, RecordImage, RecordMask
from model.training.datasets.reduced import reduce_volumes
from model.transforms import volume_to_grid
from tests.unit.model.datasets.test_record_index import prepared

GRID = (8, 12, 10)
SHAPE = (23, 31, 17)


def _dataset(folder: Path, pose: str = "LPS", scale: float = 1.0) -> PreparedDataset:
    """One scan whose every voxel differs, with two organs on one label map."""
    rng = np.random.default_rng(5)
    hounsfield = rng.integers(-900, 900, SHAPE).astype(np.int16)
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:15, 4:20, 2:9] = 1
    labels[15:21, 18:30, 8:16] = 3
    tilt = np.diag([0.8, 0.9, 2.5, 1.0])
    tilt[:3, 3] = (-40, 12, 300)
    tilt[1, 2] = 0.4
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(pose))
    scan = nibabel.Nifti1Image(hounsfield, tilt)
    scan.header.set_slope_inter(scale, 0)
    folder.mkdir(parents=True)
    nibabel.save(scan.as_reoriented(turn), folder / "scan.nii.gz")
    nibabel.save(nibabel.Nifti1Image(labels, tilt).as_reoriented(turn), folder / "labels.nii.gz")
    masks = tuple(
        RecordMask(label, 0, "labels.nii.gz", value=n) for n, label in ((1, "liver"), (3, "spleen"))
    )
    record = Record("ct", "1", "1", "1", "train", Modality.CT, (RecordImage("scan.nii.gz"),), masks=masks)
    missing = replace(record, record_id="2", images=(RecordImage("gone.nii.gz"),))
    dataset = prepared(folder / "prepared", [record, missing])
    return PreparedDataset(dataset.folder, folder)


def _seen(dataset: PreparedDataset) -> tuple[NDArray[np.float32], list[NDArray[np.bool_]]]:
    record = next(dataset.records())
    volume = load_volume(dataset.source, record.images[0])
    grid, placement = volume_to_grid(volume, GRID)
    masks = load_volume_masks(dataset.source, record.masks, volume)
    return grid, [placement.to_grid(mask, GRID) for mask in masks]


@pytest.mark.parametrize("pose", ["RAS", "LPS", "PIR", "SLA"])
@pytest.mark.parametrize("scale", [1.0, 0.37])
def test_a_reduced_scan_is_seen_alike(tmp_path: Path, pose: str, scale: float) -> None:
    dataset = _dataset(tmp_path / "source", pose, scale)
    reduce_volumes(dataset, tmp_path / "out", GRID)
    scan, masks = _seen(dataset)
    reduced, reduced_masks = _seen(PreparedDataset(tmp_path / "out"))
    np.testing.assert_array_equal(reduced, scan)
    assert any(mask.any() for mask in masks)
    for one, other in zip(reduced_masks, masks, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("pose", ["RAS", "PIR"])
def test_corners_stay_where_they_are_in_the_patient(tmp_path: Path, pose: str) -> None:
    dataset = _dataset(tmp_path / "source", pose)
    reduce_volumes(dataset, tmp_path / "out", GRID)
    out = PreparedDataset(tmp_path / "out")
    corners = []
    for data in (dataset, out):
        volume = load_volume(data.source, next(data.records()).images[0])
        ends = np.array(np.meshgrid(*[(0, n - 1) for n in volume.voxels.shape]), float).reshape(3, -1).T
        at = volume.geometry.to_patient(ends)
        corners.append(at[np.lexsort(np.round(at, 2).T)])
    np.testing.assert_allclose(corners[0], corners[1], atol=1e-3)


def test_files_are_small_and_records_say_where_they_are(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path / "source")
    header = reduce_volumes(dataset, tmp_path / "out", GRID)
    record = next(PreparedDataset(tmp_path / "out").records())
    assert record.images[0].path == "volumes/train-000000-0.nii.gz"
    assert record.images[0].size == (12, 10)
    assert [mask.label for mask in record.masks] == ["liver", "spleen"]
    stored = nibabel.load(tmp_path / "out" / record.images[0].path)
    assert (stored.shape, stored.get_data_dtype()) == ((12, 10, 8), np.int16)
    assert not list((tmp_path / "out").rglob("part-*"))
    assert (
        header.card.preprocessing[-1]
        == "Volumes were taken to 8 x 12 x 10 voxels and clipped to (-200.0, 300.0) HU."
    )


def test_a_scan_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    header = reduce_volumes(_dataset(tmp_path / "source"), tmp_path / "out", GRID)
    assert (header.records, header.skipped) == ({"train": 1}, 1)
    assert header.reasons() == {"not a NIfTI file": 1}


def test_the_command_goes_on_where_it_was_and_tells_what_it_left_out(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path / "source")
    arguments = ["reduce", str(dataset.folder), str(tmp_path / "out"), "--source", str(tmp_path / "source")]
    arguments += ["--grid", "8", "12", "10"]
    for _ in range(2):
        result = CliRunner().invoke(train, arguments)
        assert result.exit_code == 0
        assert "1 records; 1 left out" in result.output
    other = CliRunner().invoke(train, [*arguments[:-1], "11"])
    assert other.exit_code == 1
    assert "another" in other.output


def test_pictures_need_no_reducing(tmp_path: Path) -> None:
    record = Record("x", "1", "1", "1", "train", Modality.CXR, (RecordImage("a.png"),))
    header = reduce_volumes(prepared(tmp_path / "in", [record]), tmp_path / "out", GRID)
    assert header.reasons() == {"a record of pictures needs no reducing": 1}

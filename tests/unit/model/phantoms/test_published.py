"""Published phantoms: files, truth and records agree, whoever wrote them."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from model.reading import Modality
from model.report_language.changes import changes_in
from model.training.commands import train
from model.training.datasets.nifti import labels_from_nifti, volume_from_nifti
from model.training.datasets.prepared import PreparedDataset
from model.training.phantoms.published import TRUTH, publish


def written(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def skins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("skins")
    ran = CliRunner().invoke(
        train, ["phantoms", str(out), "--kind", "skin", "--count", "3", "--seed", "7", "--workers", "2"]
    )
    assert ran.exit_code == 0, ran.output
    return out


def test_truth_is_what_the_pixels_show(skins: Path) -> None:
    for folder in sorted(skins.glob("skin-*")):
        truth = json.loads((folder / TRUTH).read_text(encoding="utf-8"))
        assert truth["synthetic"] is True
        areas = []
        for date in truth["photographs"]:
            mask = np.asarray(Image.open(folder / f"day{date['day']:04d}-lesion.png")) > 0
            assert date["area_mm2"] == pytest.approx(mask.sum() * date["pixel_mm"] ** 2)
            areas.append(mask.sum())
        (interval,) = truth["intervals"]
        assert interval["area_percent"] == pytest.approx(100 * (areas[1] / areas[0] - 1))


def test_records_stand_in_the_common_form_with_their_split(skins: Path) -> None:
    dataset = PreparedDataset(skins / "prepared")
    found = {split: [r.record_id for r in dataset.records(split)] for split in ("train", "validate", "test")}
    assert found == {
        "train": ["skin-000000007"], "validate": ["skin-000000008"], "test": ["skin-000000009"]
    }  # fmt: skip
    (record,) = dataset.records("test")
    assert record.modality is Modality.DERM
    assert record.diagnosis
    assert all((skins / path).is_file() for path in (record.images[0].path, record.masks[0].path or ""))


def test_a_contact_sheet_shows_them(skins: Path) -> None:
    with Image.open(skins / "contact_sheet.png") as sheet:
        pixels = np.asarray(sheet, np.int16)
    # Three persons at two dates fill one row; a mask among them would be without colour.
    row = np.ptp(pixels[:300, :1800], axis=-1)
    assert all(row[:, 304 * n : 304 * n + 300].mean() > 8 for n in range(6))


def test_the_number_of_workers_changes_nothing_and_whole_ones_are_kept(skins: Path, tmp_path: Path) -> None:
    publish("skin", range(7, 10), tmp_path, 1, lambda _: None)
    there = {k: v for k, v in written(skins).items() if k != "contact_sheet.png" and "prepared" not in k}
    assert {k: v for k, v in written(tmp_path).items() if "prepared" not in k} == there
    kept = tmp_path / "skin-000000008" / "day0000.png"
    kept.unlink()
    (tmp_path / "skin-000000009" / TRUTH).unlink()
    publish("skin", range(7, 10), tmp_path, 1, lambda _: None)
    assert not kept.exists()
    assert (tmp_path / "skin-000000009" / TRUTH).exists()


def test_a_chest_has_its_views_and_its_change(tmp_path: Path) -> None:
    publish("chest", [0], tmp_path, 1, lambda _: None)
    folder = tmp_path / "chest-000000000"
    truth = json.loads((folder / TRUTH).read_text(encoding="utf-8"))
    assert len(truth["studies"]) == 3
    assert [view["view"] for view in truth["studies"][0]["views"]] == ["PA", "LL"]
    for study in truth["studies"]:
        for view in study["views"]:
            assert (folder / view["picture"]).is_file()
    (record,) = PreparedDataset(tmp_path / "prepared").records("train")
    assert record.findings
    # What cannot be seen at either date is not told: no finding of the text is unknown to the truth.
    told = {change.label for change in changes_in(record.change or "").value}
    assert told <= {interval["label"] for interval in truth["intervals"]}
    assert record.priors
    assert all((tmp_path / image.path).is_file() for image in record.shown)
    assert all((tmp_path / (mask.path or "")).is_file() for mask in record.masks)


def test_a_ct_and_its_masks_lie_on_each_other(tmp_path: Path) -> None:
    publish("abdomen", [1], tmp_path, 1, lambda _: None)
    (record,) = PreparedDataset(tmp_path / "prepared").records("train")
    volume = volume_from_nifti(tmp_path / record.images[0].path)
    truth = json.loads((tmp_path / "abdomen-000000001" / TRUTH).read_text(encoding="utf-8"))
    assert len(truth["scans"]) == 2
    liver = next(mask for mask in record.masks if mask.label == "liver")
    voxels = labels_from_nifti(tmp_path / (liver.path or ""), volume) > 0
    assert 20 < float(np.median(volume.voxels[voxels])) < 160

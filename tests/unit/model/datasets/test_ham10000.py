"""HAM10000 in the layout of Harvard Dataverse: seven diagnoses, masks, and lesions that no split parts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.errors import DatasetError
from model.reading import Modality
from model.training.datasets.ham10000 import HAM10000_READER
from model.training.datasets.pixels import load_picture, load_planar_mask
from model.training.datasets.record import Record
from tests.unit.model.datasets.refused import refusals

HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset"
ROWS = (
    "HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp,vidir_modern",
    "HAM_0000118,ISIC_0025030,bkl,histo,80.0,male,scalp,vidir_modern",
    "HAM_0001466,ISIC_0031633,nv,follow_up,0.0,unknown,ear,vidir_molemax",
)
TEST_ROW = "HAMTEST_0000001,ISIC_0034524,mel,histo,40.0,female,back,rosendahl"
MASKS = "HAM10000_segmentations_lesion_tschandl"
SPOT = np.zeros((45, 60), bool)
SPOT[5:20, 30:55] = True


def _write_pair(source: Path, part: str, image_id: str, masks: str | None = MASKS) -> None:
    (source / part).mkdir(parents=True, exist_ok=True)
    skin = np.where(SPOT[..., None], (90, 60, 50), (220, 180, 160)).astype(np.uint8)
    Image.fromarray(skin).save(source / part / f"{image_id}.jpg", quality=95)
    if masks is not None:
        (source / masks).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.where(SPOT, 255, 0).astype(np.uint8)).save(
            source / masks / f"{image_id}_segmentation.png"
        )


def _download(source: Path, rows: Sequence[str] = ROWS) -> Path:
    (source / "HAM10000_metadata.csv").write_text("\n".join((HEADER, *rows)) + "\n")
    for n, row in enumerate(rows):
        _write_pair(source, f"HAM10000_images_part_{n % 2 + 1}", row.split(",")[1])
    (source / "ISIC2018_Task3_Test_GroundTruth.csv").write_text(f"{HEADER}\n{TEST_ROW}\n")
    _write_pair(source, "ISIC2018_Task3_Test_Images", "ISIC_0034524", None)
    return source


def _records(source: Path) -> dict[str, Record]:
    return {record.record_id: record for record in HAM10000_READER.records(source)}


def test_a_whole_download_lacks_nothing(tmp_path: Path) -> None:
    assert HAM10000_READER.check(_download(tmp_path)) == []


def test_rows_become_records(tmp_path: Path) -> None:
    records = _records(_download(tmp_path))
    assert records.keys() == {"ISIC_0027419", "ISIC_0025030", "ISIC_0031633", "ISIC_0034524"}
    first = records["ISIC_0027419"]
    assert (first.modality, first.diagnosis) == (Modality.DERM, "benign keratosis")
    assert (first.subject, first.age, first.sex) == ("HAM_0000118", 80, "M")
    assert first.images[0].path == "HAM10000_images_part_1/ISIC_0027419.jpg"
    nevus, test = records["ISIC_0031633"], records["ISIC_0034524"]
    assert (nevus.diagnosis, nevus.age, nevus.sex) == ("melanocytic nevus", None, None)
    assert (test.split, test.diagnosis, test.masks) == ("test", "melanoma", ())


def test_the_mask_lies_on_its_picture(tmp_path: Path) -> None:
    source = _download(tmp_path)
    record = _records(source)["ISIC_0027419"]
    seen = load_picture(source, record.images[0])
    mask = load_planar_mask(source, record.masks[0], seen)
    assert record.masks[0].label == "lesion"
    np.testing.assert_array_equal(mask, SPOT)
    assert seen.pixels[mask].mean() < 0.35 < 0.65 < seen.pixels[~mask].mean()


def test_no_lesion_is_in_two_splits(tmp_path: Path) -> None:
    """One lesion in ten is held out; the draw does not depend on the order of rows."""
    rows = [f"HAM_{n // 3:07d},ISIC_{n:07d},nv,histo,50,male,back,x" for n in range(900)]
    for source, listed in ((tmp_path / "a", rows), (tmp_path / "b", rows[::-1])):
        source.mkdir()
        (source / "HAM10000_metadata.csv").write_text("\n".join((HEADER, *listed)))
        for folder in ("HAM10000_images_part_1", MASKS):
            (source / folder).mkdir()
        for n in range(900):
            (source / "HAM10000_images_part_1" / f"ISIC_{n:07d}.jpg").write_bytes(b"\xff\xd8\xff\xd9")
            (source / MASKS / f"ISIC_{n:07d}_segmentation.png").write_bytes(b"\x89PNGIEND\xaeB`\x82")
    one, other = _records(tmp_path / "a"), _records(tmp_path / "b")
    splits: dict[str, set[str]] = {}
    for record in one.values():
        splits.setdefault(record.subject, set()).add(record.split)
    assert all(len(found) == 1 for found in splits.values())
    held_out = sum(found == {"validate"} for found in splits.values())
    assert 15 <= held_out <= 45
    assert {name: record.split for name, record in one.items()} == {n: r.split for n, r in other.items()}


@pytest.mark.parametrize("metadata", ["HAM10000_metadata", "HAM10000_metadata.tab"])
def test_the_metadata_of_dataverse_are_read_under_each_of_their_names(tmp_path: Path, metadata: str) -> None:
    source = _download(tmp_path)
    text = (source / "HAM10000_metadata.csv").read_text()
    (source / "HAM10000_metadata.csv").unlink()
    (source / metadata).write_text(text.replace(",", "\t") if metadata.endswith("tab") else text)
    assert HAM10000_READER.check(source) == []
    assert len(_records(source)) == 4


def test_an_archive_that_holds_its_own_folder_is_found(tmp_path: Path) -> None:
    source = _download(tmp_path)
    (source / MASKS).rename(source / "masks")
    (source / MASKS).mkdir()
    (source / "masks").rename(source / MASKS / MASKS)
    assert HAM10000_READER.check(source) == []


def test_the_challenges_own_ground_truth_is_read(tmp_path: Path) -> None:
    source = _download(tmp_path)
    (source / "ISIC2018_Task3_Test_GroundTruth.csv").write_text(
        "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\nISIC_0034524,0.0,0.0,0.0,1.0,0.0,0.0,0.0\n"
    )
    assert _records(source)["ISIC_0034524"].diagnosis == "actinic keratosis"


def test_each_of_the_seven_diagnoses_has_its_name(tmp_path: Path) -> None:
    codes = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    rows = [f"HAM_{n},ISIC_{n},{code},histo,50,male,back,x" for n, code in enumerate(codes)]
    records = _records(_download(tmp_path, rows))
    assert [records[f"ISIC_{n}"].diagnosis for n in range(7)] == [
        "actinic keratosis",
        "basal cell carcinoma",
        "benign keratosis",
        "dermatofibroma",
        "melanoma",
        "melanocytic nevus",
        "vascular lesion",
    ]


def test_missing_and_cut_files_are_named(tmp_path: Path) -> None:
    source = _download(tmp_path)
    (source / "HAM10000_images_part_2" / "ISIC_0025030.jpg").unlink()
    mask = source / MASKS / "ISIC_0031633_segmentation.png"
    mask.write_bytes(mask.read_bytes()[:40])
    (source / "ISIC2018_Task3_Test_GroundTruth.csv").unlink()
    found = {one.path: one.problem for one in HAM10000_READER.check(source)}
    assert found == {
        "HAM10000_images_part_1/ISIC_0025030.jpg": "missing",
        f"{MASKS}/ISIC_0031633_segmentation.png": "truncated",
        "ISIC2018_Task3_Test_GroundTruth.csv": "missing",
    }
    assert {one.get_from for one in HAM10000_READER.check(source)} == {"https://doi.org/10.7910/DVN/DBW86T"}


def test_without_metadata_they_are_named_and_nothing_else_is_guessed(tmp_path: Path) -> None:
    found = [one.path for one in HAM10000_READER.check(tmp_path)]
    assert found == ["HAM10000_metadata.csv", "ISIC2018_Task3_Test_GroundTruth.csv"]
    with pytest.raises(DatasetError, match="HAM10000_metadata"):
        HAM10000_READER.cases(tmp_path)


def test_a_bad_row_costs_only_itself(tmp_path: Path) -> None:
    bad = ("HAM_9,ISIC_9,acne,histo,1,male,back,x", "HAM_8,ISIC_8,nv,histo,1,male,back,x")
    source = _download(tmp_path, (*ROWS, *bad))
    (source / MASKS / "ISIC_8_segmentation.png").unlink()
    assert refusals(HAM10000_READER, source) == {
        "ISIC_9": "a diagnosis is none of the seven",
        "ISIC_8": "a file of it is missing",
    }
    assert len(_records(source)) == 4

"""NIH ChestX-ray14 as published, with the headers that name four columns in one."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.errors import DatasetError
from model.training.datasets.nih_chest_xray import NIH_CHEST_XRAY_READER
from model.training.datasets.pixels import load_picture
from model.training.datasets.record import Record
from tests.unit.model.datasets.refused import refusals

ENTRIES = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
    "00000001_000.png,Cardiomegaly|Effusion,0,1,57,M,PA,2682,2749,0.143,0.143,\n"
    "00000001_001.png,No Finding,1,1,058Y,M,AP,2500,2048,0.168,0.168,\n"
    "00000002_000.png,Infiltration|Mass,0,2,414,F,PA,2992,2991,0.143,0.143,\n"
)
BOXES = (
    "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
    "00000001_000.png,Cardiomegaly,256.0,512.0,512.0,256.0,,,\n"
    "00000002_000.png,Infiltrate,0.0,64.0,128.0,32.0,,,\n"
    "00000002_000.png,Mass,896.0,0.0,256.0,1024.0,,,\n"
)
FOLDERS = {"00000001_000": "images_001/images", "00000001_001": "images_012/images", "00000002_000": "images"}


def _download(source: Path, entries: str = ENTRIES, boxes: str = BOXES) -> Path:
    (source / "Data_Entry_2017_v2020.csv").write_text(entries)
    (source / "BBox_List_2017.csv").write_text(boxes)
    (source / "train_val_list.txt").write_text("00000002_000.png")
    (source / "test_list.txt").write_text("00000001_000.png\n00000001_001.png\n")
    for name, folder in FOLDERS.items():
        (source / folder).mkdir(parents=True, exist_ok=True)
        heart = np.zeros((1024, 1024), np.uint8)
        heart[512:768, 256:768] = 255
        Image.fromarray(heart).save(source / folder / f"{name}.png")
    return source


def _records(source: Path) -> dict[str, Record]:
    return {record.record_id: record for record in NIH_CHEST_XRAY_READER.records(source)}


def test_a_whole_download_lacks_nothing(tmp_path: Path) -> None:
    assert NIH_CHEST_XRAY_READER.check(_download(tmp_path)) == []


def test_rows_become_records(tmp_path: Path) -> None:
    records = _records(_download(tmp_path))
    first, second, third = (records[name] for name in FOLDERS)
    assert (first.subject, first.study, first.age, first.sex) == ("1", "1/0", 57, "M")
    assert (first.images[0].path, first.images[0].view) == ("images_001/images/00000001_000.png", "PA")
    assert (second.age, second.images[0].view, third.age, third.sex) == (58, "AP", None, "F")
    assert (first.split, second.split) == ("test", "test")
    assert third.split in ("train", "validate")


def test_what_was_not_mined_counts_as_absent(tmp_path: Path) -> None:
    records = _records(_download(tmp_path))
    first, second, _ = (records[name].labels for name in FOLDERS)
    assert len(first) == len(second) == 14
    assert {name for name, present in first.items() if present} == {
        "enlarged cardiac silhouette",
        "pleural effusion",
    }
    assert not any(second.values())


def test_boxes_are_fractions_of_the_published_square(tmp_path: Path) -> None:
    source = _download(tmp_path)
    (heart,) = _records(source)["00000001_000"].boxes
    assert (heart.label, heart.box, heart.anatomy) == (
        "enlarged cardiac silhouette",
        (0.25, 0.5, 0.75, 0.75),
        False,
    )
    seen = load_picture(source, _records(source)["00000001_000"].images[0]).pixels
    x1, y1, x2, y2 = (round(edge * 1024) for edge in heart.box)
    assert seen[y1:y2, x1:x2].all()
    assert seen.sum() == (y2 - y1) * (x2 - x1)


def test_infiltrate_is_infiltration_and_what_sticks_out_is_cut_off(tmp_path: Path) -> None:
    infiltrate, mass = _records(_download(tmp_path))["00000002_000"].boxes
    assert (infiltrate.label, infiltrate.box) == ("infiltration", (0.0, 0.0625, 0.125, 0.09375))
    assert mass.box == (0.875, 0.0, 1.0, 1.0)


def test_spacing_is_of_the_squeezed_picture(tmp_path: Path) -> None:
    """2500 x 2048 pixels of 0.168 mm in 1024 x 1024: 420 by 344.064 mm."""
    spacing_mm = _records(_download(tmp_path))["00000001_001"].images[0].spacing_mm
    assert spacing_mm == pytest.approx((344.064 / 1024, 420 / 1024))


def test_no_patient_is_in_two_splits_and_one_in_ten_is_held_out(tmp_path: Path) -> None:
    source = _download(tmp_path)
    header = ENTRIES.splitlines()[0]
    names = [f"{n // 2:08d}_{n % 2:03d}.png" for n in range(10, 810)]
    rows = [f"{name},No Finding,0,{int(name[:8])},50,M,PA,1,1,1,1," for name in names]
    (source / "Data_Entry_2017_v2020.csv").write_text("\n".join([header, *rows]))
    (source / "train_val_list.txt").write_text("\n".join(names))
    for name in names:
        (source / "images" / name).write_bytes(b"\x89PNGIEND\xaeB`\x82")
    splits: dict[str, set[str]] = {}
    for record in _records(source).values():
        splits.setdefault(record.subject, set()).add(record.split)
    assert all(len(found) == 1 for found in splits.values())
    assert 22 <= sum(found == {"validate"} for found in splits.values()) <= 58


def test_the_table_of_2017_and_its_successors_column_are_read(tmp_path: Path) -> None:
    source = _download(tmp_path, ENTRIES.replace("Patient Gender", "Patient Sex"))
    (source / "Data_Entry_2017_v2020.csv").rename(source / "Data_Entry_2017.csv")
    assert NIH_CHEST_XRAY_READER.check(source) == []
    assert _records(source)["00000002_000"].sex == "F"


def test_missing_and_cut_files_are_named(tmp_path: Path) -> None:
    source = _download(tmp_path)
    (source / "test_list.txt").unlink()
    (source / "images" / "00000002_000.png").unlink()
    picture = source / "images_012/images/00000001_001.png"
    picture.write_bytes(picture.read_bytes()[:100])
    found = {one.path: one.problem for one in NIH_CHEST_XRAY_READER.check(source)}
    assert found == {
        "test_list.txt": "missing",
        "images/00000002_000.png": "missing",
        "images_012/images/00000001_001.png": "truncated",
    }
    assert set(refusals(NIH_CHEST_XRAY_READER, source)) == {f"{name}.png" for name in FOLDERS}


def test_bad_rows_cost_only_themselves(tmp_path: Path) -> None:
    entries = ENTRIES + "00000003_000.png,Gout,0,3,50,M,PA,1,1,1,1,\n00000004_000.png,Mass,0,X,50,M,PA,,,,,\n"
    boxes = (
        BOXES
        + "00000001_000.png,Mass,1,1,0,5,,,\n00000001_000.png,Gout,1,1,5,5,,,\n"
        + "00000001_000.png,Mass,a,1,5,5,,,\n"
    )
    source = _download(tmp_path, entries, boxes)
    listed = [f"0000000{n}_000.png" for n in (1, 3, 4)]
    (source / "test_list.txt").write_text("\n".join([*listed, "00000001_001.png"]))
    for n in (3, 4):
        (source / "images" / f"0000000{n}_000.png").write_bytes(
            (source / "images/00000002_000.png").read_bytes()
        )
    reasons = refusals(NIH_CHEST_XRAY_READER, source)
    assert reasons["00000003_000.png"] == "Finding Labels holds an unknown name"
    assert reasons["00000004_000.png"] == "Patient ID is no number"
    assert len(reasons) == 5
    assert len(_records(source)["00000001_000"].boxes) == 1


def test_a_table_in_another_layout_is_refused(tmp_path: Path) -> None:
    source = _download(tmp_path, "name,label\nx,y\n")
    with pytest.raises(DatasetError, match="no column Image Index, Finding Labels, Patient ID"):
        NIH_CHEST_XRAY_READER.cases(source)

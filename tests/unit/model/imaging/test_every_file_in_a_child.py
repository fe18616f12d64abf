"""No file crashes its reader, holds it for a minute or takes two gibibytes: each is read or has a reason."""

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    generate_uid,
)

from tests.unit.model.imaging import read_in_a_child

CHILD = Path(read_in_a_child.__file__)
ROOT = CHILD.parents[4]
LONGEST_S = 60


def outcomes(paths: Sequence[Path], timeout_s: float) -> dict[Path, dict[str, Any]]:
    """Read `paths` in one child process, and say what became of each."""
    done = subprocess.run(
        [sys.executable, str(CHILD)],
        input="\n".join(map(str, paths)),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {Path(one["path"]): one for one in found}


def check(found: dict[Path, dict[str, Any]], paths: Sequence[Path]) -> None:
    assert set(found) == set(paths)
    for path, one in found.items():
        assert one["read"] or one["reason"], path
        assert one["seconds"] < LONGEST_S, path
        assert one["peak_bytes"] < read_in_a_child.MOST_BYTES, path
        low, high = one.get("range", (0, 1))
        assert 0 <= low <= high <= 1, path


def test_every_file_of_the_real_data_is_read_or_has_a_reason(real_data: Path) -> None:
    paths = sorted(path for path in real_data.rglob("*") if path.is_file())
    found = outcomes(paths, timeout_s=280)
    check(found, paths)
    read = {str(path.relative_to(real_data)) for path, one in found.items() if one["read"]}
    # Frontal chest radiographs and dermoscopic photographs; a CT slice alone is no volume.
    assert {name.split("/")[0] for name in read} <= {"cxr", "cxr_masks", "derm_nc", "hard"}
    assert len([name for name in read if name.startswith("cxr/nih_00000011_dcm/")]) == 9
    assert {
        "cxr/CR-MONO1-10-chest",
        "cxr/RG1_J2KI.dcm",
        "cxr/siim_pa.dcm",
        "derm_nc/dcm/lesionA_t1.dcm",
    } <= read
    for name, reason in REFUSED:
        assert reason in found[real_data / name]["reason"], name


REFUSED = (
    ("ood/RG3_J2KI.dcm", "not of the chest"),
    ("ood/dx_dog_lateral.dcm", "not a human"),
    ("objects/parametric_map_float.dcm", "floating-point"),
    ("objects/dcmqi_seg.dcm", "Segmentation Storage is not read"),
    ("hard/pydicom/MR_small.dcm", "MR Image Storage is not read"),
    ("hard/fo-dicom/GH178.dcm", "not an image"),
    ("hard/pydicom/badVR.dcm", "RT Dose Storage is not read"),
    ("ct/covid_ny_sbu/A002304/coronal_19001231-076.dcm", "too few slices"),
    ("cxr/nih_00000001_000.png", "not an image"),
    ("derm_nc/ISIC_0024311.jpg", "not an image"),
)


def written(path: Path, ds: Dataset) -> Path:
    ds.StudyInstanceUID = ds.SeriesInstanceUID = generate_uid()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return path


def native(path: Path, make: Callable[..., Dataset], side: int) -> Path:
    return written(path, make(np.zeros((4, 4), np.uint16), Rows=side, Columns=side))


def compressed(
    path: Path, make: Callable[..., Dataset], syntax: Any, frames: list[bytes], **elements: Any
) -> Path:
    ds = make(np.zeros((4, 4), np.uint8), **elements)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return written(path, ds)


def jpeg_of(rows: int, columns: int) -> bytes:
    """A JPEG stream that announces a size and holds nothing."""
    frame = struct.pack(">HBHHB3B", 11, 8, rows, columns, 1, 1, 0x11, 0)
    return b"\xff\xd8\xff\xc0" + frame + b"\xff\xd9"


def j2k_of(side: int) -> bytes:
    size = struct.pack(">HH8IH3B", 41, 0, side, side, 0, 0, side, side, 0, 0, 1, 7, 1, 1)
    return b"\xff\x4f\xff\x51" + size + b"\xff\xd9"


def jp2_of(side: int) -> bytes:
    return b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\0jp2c" + j2k_of(side)


def rle_bomb() -> bytes:
    """20 MB of replicate runs that would make 1.3 GB."""
    return struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x00" * 10_000_000


def nested_sequences(path: Path) -> Path:
    """150,000 sequences of undefined length, one in the other: 3.6 MB."""
    begin = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    path.write_bytes(header(ExplicitVRLittleEndian) + begin * 180_000)
    return path


def claims_three_gigabytes(path: Path) -> Path:
    pixel_data = struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OW", 0, 3 * 2**30) + b"\0" * 99
    path.write_bytes(header(ExplicitVRLittleEndian) + pixel_data)
    return path


def deflated_bomb(path: Path) -> Path:
    """4 GB of zeros, deflated a thousand to one."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    element = struct.pack("<HH2sHL", 0x0009, 0x1001, b"OB", 0, 2**32 - 2)
    start = packer.compress(element) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush a block knows nothing of what stood before it, so one can be repeated.
    block = packer.compress(b"\0" * 2**24) + packer.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(header(DeflatedExplicitVRLittleEndian) + start + block * 256 + packer.flush())
    return path


def header(syntax: str) -> bytes:
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid
    return b"\0" * 128 + b"DICM" + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(meta)) + meta


def monsters(folder: Path, make: Callable[..., Dataset]) -> dict[Path, str]:
    """Files that claim more than they hold, and what must be said of each."""
    good, bad = jpeg_of(4, 4), jpeg_of(65535, 65535)
    huge = {"Rows": 65535, "Columns": 65535}
    many = {"Rows": 65535, "Columns": 65535, "NumberOfFrames": 2**31 - 1}
    jpeg, large = JPEGBaseline8Bit, "over the limit"
    return {
        native(folder / "46341", make, 46341): large,
        native(folder / "65535", make, 65535): large,
        native(folder / "8000", make, 8000): "shorter",
        compressed(folder / "jpeg", make, jpeg, [bad], **huge): large,
        compressed(folder / "jpeg4", make, jpeg, [bad]): "codestream holds",
        compressed(folder / "second", make, jpeg, [good, bad], NumberOfFrames=2): "codestream holds",
        compressed(folder / "j2k", make, JPEG2000Lossless, [j2k_of(65535)]): "codestream holds",
        compressed(folder / "jp2", make, JPEG2000Lossless, [jp2_of(65535)]): "codestream holds",
        compressed(folder / "rle", make, RLELossless, [b"\0" * 70], **huge): large,
        compressed(folder / "frames", make, RLELossless, [b"\0" * 70], **many): large,
        nested_sequences(folder / "nested"): "no data set: RecursionError",
        claims_three_gigabytes(folder / "claims"): "no data set",
        deflated_bomb(folder / "deflated"): "no data set",
    }


@pytest.mark.filterwarnings("ignore")
def test_what_claims_too_much_is_refused_before_it_costs_anything(tmp_path: Path, radiograph: Any) -> None:
    expected = monsters(tmp_path, radiograph)
    found = outcomes(list(expected), timeout_s=200)
    check(found, list(expected))
    for path, reason in expected.items():
        assert not found[path]["read"], path
        assert reason in found[path]["reason"], path


def test_what_expands_beyond_its_frame_is_cut(tmp_path: Path, radiograph: Any) -> None:
    path = compressed(tmp_path / "bomb", radiograph, RLELossless, [rle_bomb()])
    one = outcomes([path], LONGEST_S)
    check(one, [path])
    assert one[path]["peak_bytes"] < 2**30


def test_largest_picture_fits(tmp_path: Path, radiograph: Any) -> None:
    """49 megapixels, more than any detector has."""
    stored = np.tile(np.arange(7000, dtype=np.uint16), (7000, 1))
    path = written(tmp_path / "large", radiograph(stored))
    del stored
    found = outcomes([path], LONGEST_S)
    check(found, [path])
    assert found[path]["read"]

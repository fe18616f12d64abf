"""Real files, odd and broken ones among them, yield pixels or a reason, never an unforeseen exception."""

import csv
import hashlib
import io
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array
from pydicom.uid import JPEGBaseline8Bit

from model.errors import PixelError
from model.imaging.decoding import stored_frames
from model.imaging.pixels import planar_image_from_dataset
from model.imaging.selection import select_images
from model.imaging.series import tilt_degrees, volume_from_series
from model.reading import Modality
from model.volume import PlanarImage, Volume

pytestmark = pytest.mark.filterwarnings("ignore")
"""pydicom warns of what is wrong in a file; that is the point of these."""


def bundled(name: str) -> Dataset:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    return pydicom.dcmread(path)


def readable(folder: Path) -> Iterator[Dataset]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_size < 4_000_000:
            try:
                yield pydicom.dcmread(path, force=True)
            except (OSError, ValueError, AttributeError, RecursionError):
                continue  # what cannot be parsed is the node's to refuse


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_jp2klossless.dcm",
        "J2K_pixelrep_mismatch.dcm",
        "JPGExtended.dcm",
        "rtdose_rle_1frame.dcm",
    ],
)
def test_stored_values_are_those_of_the_library(name: str) -> None:
    ds = bundled(name)
    np.testing.assert_array_equal(next(stored_frames(ds)), pixel_array(ds))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("MR_truncated.dcm", "shorter than declared: 8130 bytes, 8192 expected"),
        ("MR_small_padded.dcm", "longer than declared"),
        ("badVR.dcm", "NumberOfFrames"),
        ("liver_1frame.dcm", "1 bits"),
    ],
)
def test_broken_file_has_a_reason(name: str, reason: str) -> None:
    with pytest.raises(PixelError, match=reason):
        planar_image_from_dataset(bundled(name))


@pytest.mark.parametrize(
    "name",
    ["SC_rgb_rle.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_ybr_full_422_uncompressed.dcm", "SC_rgb_rle_32bit.dcm"],
)
def test_colour_bars_keep_their_colours(name: str) -> None:
    picture = planar_image_from_dataset(bundled(name)).pixels
    assert picture.shape == (100, 100, 3)
    # The test image of these files: ten bars of ten rows; the first is red, the third blue.
    assert picture[5, 50].argmax() == 0
    assert picture[25, 50, 0] < 0.1


@dataclass(frozen=True)
class Decoded:
    """What the manifest of the data says that pixels decode to."""

    path: Path
    low: int
    high: int
    digest: str
    """First 16 hexadecimal digits of the SHA-256 of the array."""


def manifest(folder: Path) -> list[Decoded]:
    with (folder / "MANIFEST.csv").open() as file:
        return [
            Decoded(folder / row["file"], int(row["pixel_min"]), int(row["pixel_max"]), row["pixel_sha256"])
            for row in csv.DictReader(file)
            if row["decode"] == "ok" and row["rows"] and row["pixel_min"].lstrip("-").isdigit()
        ]


def test_stored_values_are_those_that_were_recorded_with_the_files(real_data: Path) -> None:
    same = 0
    for expected in manifest(real_data):
        ds = pydicom.dcmread(expected.path, force=True)
        if not hasattr(ds, "file_meta") or "PixelData" not in ds:
            continue
        try:
            stored = np.concatenate([frame[None] for frame in stored_frames(ds)]).squeeze()
        except PixelError:
            continue
        # A JPEG decoder may round otherwise; everything else is exact.
        slack = 2 if ds.file_meta.get("TransferSyntaxUID") == JPEGBaseline8Bit else 0
        assert abs(int(stored.min()) - expected.low) <= slack, expected.path
        assert abs(int(stored.max()) - expected.high) <= slack, expected.path
        same += hashlib.sha256(np.ascontiguousarray(stored).tobytes()).hexdigest()[:16] == expected.digest
    # The others differ by a decoder's rounding, or in the type of array that their unused bits were cut in.
    assert same > 120


def dcmtk_picture(path: Path, ds: Dataset) -> NDArray[np.float32] | None:
    """What DCMTK shows of a file with its first window or VOI LUT, 0 to 1; None if it cannot."""
    if "VOILUTSequence" in ds:
        voi = ["--use-voi-lut", "1"]
    elif ds.get("WindowCenter") is not None:
        voi = ["--use-window", "1"]
    else:
        voi = [] if ds.SamplesPerPixel == 3 else ["--min-max-window"]
    command = ["dcmj2pnm", "--log-level", "fatal", "--write-raw-pnm", *voi, str(path)]
    shown = subprocess.run(command, capture_output=True, timeout=60)
    if shown.returncode or not shown.stdout.startswith((b"P5", b"P6")):
        return None
    picture = np.asarray(Image.open(io.BytesIO(shown.stdout)), np.float32)
    return picture / (255 if picture.max() <= 255 else 65535)


@pytest.mark.skipif(shutil.which("dcmj2pnm") is None, reason="DCMTK is not installed")
@pytest.mark.parametrize("folder", ["hard", "ood", "cxr", "cxr_masks", "ct_ts", "derm_nc/dcm"])
def test_grey_colour_and_polarity_are_those_of_another_toolkit(real_data: Path, folder: str) -> None:
    compared = 0
    for path in sorted(path for path in (real_data / folder).rglob("*") if path.suffix in (".dcm", "")):
        if not path.is_file() or path.name in NOT_COMPARED:
            continue
        try:
            ds = pydicom.dcmread(path, force=True)
            image = planar_image_from_dataset(ds)
        except (PixelError, OSError):
            continue
        expected = dcmtk_picture(path, ds)
        if expected is None:
            continue  # a codec that DCMTK has not
        shown = image.orientation.undo(image.pixels) if image.pixels.ndim == 2 else image.pixels
        if shown.ndim < expected.ndim:
            shown = np.repeat(shown[..., None], 3, axis=-1)
        has_own_window = "WindowCenter" in ds or "VOILUTSequence" in ds or shown.ndim == 3
        if has_own_window:
            assert np.abs(shown - expected).max() < 3.5 / 255, path
        elif float(shown.std()) > 0:
            assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.8, path
        compared += 1
    assert compared


NOT_COMPARED = frozenset({"17136", "17166", "17196", "rtdose_expb.dcm", "rtdose_expb_1frame.dcm"})
"""Slices that are plain black in their window, of which percentiles are shown instead; and big-endian pixels
of 32 bits, whose 16-bit words DCMTK takes in another order than the values recorded with the file."""


def test_one_pile_of_all_hard_files_costs_a_good_study_nothing(real_data: Path) -> None:
    good = list(readable(real_data / "ct" / "totalseg_abdomen"))
    pile = list(readable(real_data / "hard"))
    selection = select_images([*pile[::2], *good, *pile[1::2]])
    assert selection.modality is Modality.CT
    (volume,) = selection.images
    assert isinstance(volume, Volume)
    assert {frame.sop_instance_uid for frame in volume.frames} == {ds.SOPInstanceUID for ds in good}


def test_what_must_be_refused_is(real_data: Path) -> None:
    for ds in readable(real_data / "ood"):
        assert select_images([ds]).modality is None


def test_nine_studies_of_one_patient_are_chest_radiographs(real_data: Path) -> None:
    for ds in readable(real_data / "cxr" / "nih_00000011_dcm"):
        selection = select_images([ds])
        assert selection.modality is Modality.CXR
        (image,) = selection.images
        assert isinstance(image, PlanarImage)
        assert image.spacing_mm == pytest.approx(tuple(ds.get("PixelSpacing") or ds.ImagerPixelSpacing))


def test_abdominal_series_has_soft_tissue_where_the_body_is(real_data: Path) -> None:
    volume = volume_from_series(list(readable(real_data / "ct" / "totalseg_abdomen")))
    assert volume.voxels.shape == (20, 512, 512)
    # 3 mm thick every 2 mm: the distance counts, not the thickness.
    assert volume.geometry.spacing_mm[0] == pytest.approx(2.0, abs=1e-3)
    middle = volume.voxels[10, 236:276, 236:276]
    assert -100 < float(np.median(middle)) < 400
    assert float(volume.voxels[:, 0, 0].mean()) < -900


def test_tilted_head_series_keeps_its_tilt(real_data: Path) -> None:
    volume = volume_from_series(list(readable(real_data / "ct" / "philips_tilt_phantom")))
    assert tilt_degrees(volume) == pytest.approx(18.5, abs=0.2)


def test_one_slice_in_several_transfer_syntaxes_has_the_same_hounsfield_units(real_data: Path) -> None:
    lossless = ("CT1_RLE_frags.dcm", "CT1_explicit_big_endian.dcm", "CT1_frag_bot_jpegls.dcm")
    folder = real_data / "ct_ts"
    stored = [next(stored_frames(pydicom.dcmread(folder / name))) for name in lossless]
    np.testing.assert_array_equal(stored[0], stored[1])
    np.testing.assert_array_equal(stored[0], stored[2])

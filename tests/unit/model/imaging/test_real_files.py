"""Real files, odd and broken ones among them, yield pixels or a reason, never an unforeseen exception."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array

from model.errors import PixelError
from model.imaging.decoding import stored_frames
from model.imaging.pixels import planar_image_from_dataset
from model.imaging.selection import select_images
from model.imaging.series import tilt_degrees, volume_from_series
from model.reading import Modality
from model.volume import PlanarImage, Volume

pytestmark = pytest.mark.filterwarnings("ignore")
"""pydicom warns of what is wrong in a file; that is the point of these."""

FOLDERS = ("hard", "ood", "cxr", "cxr_masks", "ct", "ct_enhanced", "ct_ts", "derm_nc/dcm", "objects")


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


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_real_file_is_read_or_has_a_reason(real_data: Path, folder: str) -> None:
    for ds in readable(real_data / folder):
        selection = select_images([ds])
        accounted = len(selection.images) + len(selection.left_out) + len(selection.faulty)
        assert accounted == 1
        assert selection.images or selection.reason


@pytest.mark.parametrize("folder", ["hard", "ood", "ct_enhanced", "ct_ts", "objects"])
def test_every_real_file_renders_or_has_a_reason(real_data: Path, folder: str) -> None:
    for ds in readable(real_data / folder):
        try:
            picture = planar_image_from_dataset(ds).pixels
        except PixelError:
            continue
        assert picture.dtype == np.float32
        assert 0 <= picture.min() <= picture.max() <= 1


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

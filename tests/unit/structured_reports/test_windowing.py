"""One frame as a reader sees it, with values worked out by hand from PS3.3 C.11."""

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from structured_reports.windowing import as_a_reader_sees_it
from tests.unit.structured_reports.readings import header


def image(pixels: list[list[int]], **attributes: object) -> Dataset:
    array = np.array(pixels, dtype="<u2")
    ds = header(Rows=array.shape[0], Columns=array.shape[1], **attributes)
    ds.PixelData = array.tobytes()
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def test_window_maps_its_ends_to_black_and_white():
    # PS3.3 C.11.2.1.2.1, centre 100.5, width 101: 50 and below are black, above 150 white, 100 the middle.
    shown = as_a_reader_sees_it(image([[0, 50, 100, 151]], WindowCenter=100.5, WindowWidth=101))
    assert shown.tolist() == [[0, 0, 128, 255]]


def test_rescale_comes_before_the_window():
    ds = image([[1024, 1064]], WindowCenter=20.5, WindowWidth=41, RescaleSlope=1, RescaleIntercept=-1024)
    assert as_a_reader_sees_it(ds).tolist() == [[0, 255]]


def test_monochrome1_is_inverted():
    ds = image([[0, 4095]], PhotometricInterpretation="MONOCHROME1")
    assert as_a_reader_sees_it(ds).tolist() == [[255, 0]]


def test_first_of_several_windows_is_used():
    ds = image([[0, 100]], WindowCenter=[50.5, 1000], WindowWidth=[101, 2000])
    assert as_a_reader_sees_it(ds).tolist() == [[0, 255]]


def test_sigmoid_window():
    # PS3.3 C.11.2.1.3.1: 255 / (1 + exp(-4 (x - c) / w)); at c + w/4 that is 255 / (1 + 1/e).
    ds = image([[100, 125]], WindowCenter=100, WindowWidth=100, VOILUTFunction="SIGMOID")
    assert as_a_reader_sees_it(ds).tolist() == [[128, round(255 / (1 + np.exp(-1)))]]


def test_lookup_table_is_used():
    table = Dataset()
    table.LUTDescriptor = [3, 10, 8]
    table.LUTData = [0, 51, 255]
    table["LUTDescriptor"].VR = "US"
    table["LUTData"].VR = "US"
    ds = image([[0, 10, 11, 12, 99]], VOILUTSequence=[table], WindowCenter=None, WindowWidth=None)
    assert as_a_reader_sees_it(ds).tolist() == [[0, 0, 51, 255, 255]]


def test_ct_without_window_is_shown_as_an_abdomen():
    ds = image(
        [[864, 1264]],
        Modality="CT",
        WindowCenter=None,
        WindowWidth=None,
        RescaleSlope=1,
        RescaleIntercept=-1024,
    )
    assert as_a_reader_sees_it(ds).tolist() == [[0, 255]]


def test_image_without_window_is_stretched():
    shown = as_a_reader_sees_it(image([[7, 7, 9, 9]], WindowCenter=None, WindowWidth=None))
    assert (shown.min(), shown.max()) == (0, 255)


def test_even_image_is_shown():
    assert as_a_reader_sees_it(image([[5, 5]], WindowCenter=None, WindowWidth=None)).shape == (1, 2)


def test_colour_stays_colour():
    ds = image([[0]], WindowCenter=None, WindowWidth=None)
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelData = bytes([200, 100, 50, 0])
    assert as_a_reader_sees_it(ds).tolist() == [[[200, 100, 50]]]


@pytest.mark.parametrize("frame_number", [1, 2])
def test_frame_of_a_multi_frame_image(frame_number: int):
    ds = image([[0, 4095]], NumberOfFrames=2)
    ds.PixelData = np.array([[[0, 4095]], [[4095, 0]]], dtype="<u2").tobytes()
    expected = [[0, 255]] if frame_number == 1 else [[255, 0]]
    assert as_a_reader_sees_it(ds, frame_number).tolist() == expected

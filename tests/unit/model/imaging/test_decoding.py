"""Declared size, pixel data and codec must agree before anything is decoded."""

import struct
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from model.errors import PixelError
from model.imaging.decoding import describe_pixels, stored_frames
from model.imaging.pixels import planar_image_from_dataset


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"Rows": None}, "Rows is missing"),
        ({"Rows": 0}, "Rows is 0"),
        ({"Columns": None}, "Columns is missing"),
        ({"BitsAllocated": None}, "BitsAllocated is missing"),
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "1 bits"),
        ({"BitsStored": 12}, "contradict"),
        ({"SamplesPerPixel": 4}, "4 samples"),
        ({"NumberOfFrames": 0}, "NumberOfFrames is 0"),
        ({"NumberOfFrames": 2**31 - 1}, "over the limit"),
        ({"Rows": 46341, "Columns": 46341}, "over the limit"),
        ({"NumberOfFrames": 2}, "shorter"),
        ({"PixelData": b"\0" * 62}, "shorter"),
        ({"PixelData": b"\0" * 128}, "longer"),
        ({"PixelData": b"\0" * 65}, "longer"),
        ({"PixelData": None}, "no Pixel Data"),
        ({"PixelData": None, "FloatPixelData": b"\0" * 256}, "floating-point"),
        ({"PixelData": None, "DoubleFloatPixelData": b"\0" * 512}, "floating-point"),
        ({"PhotometricInterpretation": "RGB"}, "contradict"),
        ({"PhotometricInterpretation": "YBR_FULL"}, "contradict"),
        ({"SamplesPerPixel": 3}, "contradict"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "PALETTE COLOR"}, "contradict"),
    ],
)
def test_senseless_description_is_refused(radiograph: Any, elements: dict[str, Any], reason: str) -> None:
    with pytest.raises(PixelError, match=reason):
        describe_pixels(radiograph(**elements))


def test_one_byte_of_padding_is_as_it_should_be(radiograph: Any) -> None:
    ds = radiograph(np.arange(9, dtype=np.uint8).reshape(3, 3))
    assert len(ds.PixelData) == 10
    assert next(stored_frames(ds))[2, 2] == 8


def test_empty_number_of_frames_is_one(radiograph: Any) -> None:
    assert describe_pixels(radiograph(NumberOfFrames="")).frames == 1


def test_a_frame_that_is_not_there_is_refused(radiograph: Any) -> None:
    with pytest.raises(PixelError, match="no frame 2 of 1"):
        planar_image_from_dataset(radiograph(), 2)


def test_a_picture_beyond_any_detector_is_refused_before_decoding(radiograph: Any) -> None:
    ds = radiograph(Rows=20000, Columns=20000)
    ds.PixelData = bytes(20000 * 20000)
    with pytest.raises(PixelError, match="20000 x 20000 pixels is over the limit"):
        planar_image_from_dataset(ds)


def test_missing_transfer_syntax_is_refused(radiograph: Any) -> None:
    ds = radiograph()
    del ds.file_meta.TransferSyntaxUID
    with pytest.raises(PixelError, match="Transfer Syntax"):
        describe_pixels(ds)


@pytest.mark.parametrize("syntax", ["1.2.3.4", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.77", "!"])
@pytest.mark.filterwarnings("ignore")
def test_unknown_transfer_syntax_is_refused(radiograph: Any, syntax: str) -> None:
    ds = radiograph(PhotometricInterpretation="YBR_FULL_422")
    ds.file_meta.TransferSyntaxUID = syntax
    with pytest.raises(PixelError, match="transfer syntax"):
        describe_pixels(ds)


def test_frames_are_decoded_one_by_one(radiograph: Any) -> None:
    stored = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    ds = radiograph(stored[0], NumberOfFrames=2, PixelData=stored.tobytes())
    assert [int(frame[0, 0]) for frame in stored_frames(ds, [1])] == [16]


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
def test_lossless_codecs_return_what_was_stored(radiograph: Any, syntax: Any) -> None:
    stored = np.random.default_rng(1).integers(0, 4096, (128, 96), dtype=np.uint16)
    ds = radiograph(stored, BitsStored=12, HighBit=11)
    ds.compress(syntax)
    np.testing.assert_array_equal(next(stored_frames(ds)), stored)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_codestream_of_another_size_is_refused_before_decoding(radiograph: Any, syntax: Any) -> None:
    ds = radiograph(np.zeros((128, 96), np.uint16))
    ds.compress(syntax)
    ds.Rows = 16
    with pytest.raises(PixelError, match=r"96 x 128 pixels, 96 x 16"):
        describe_pixels(ds)


@pytest.mark.parametrize("wrapped", [False, True])
def test_size_is_known_though_a_codestream_is_cut_into_fragments(radiograph: Any, wrapped: bool) -> None:
    ds = radiograph(np.random.default_rng(0).integers(0, 4096, (128, 96), dtype=np.uint16))
    ds.compress(JPEG2000Lossless)
    stream = next(generate_frames(ds.PixelData, number_of_frames=1))
    if wrapped:
        stream = b"\0\0\0\x0cjP  \r\n\x87\n" + struct.pack(">L4s", len(stream) + 8, b"jp2c") + stream
    ds.PixelData = encapsulate([stream], fragments_per_frame=len(stream) // 20)
    assert describe_pixels(ds).rows == 128
    ds.Columns = 95
    with pytest.raises(PixelError, match=r"96 x 128 pixels, 95 x 128"):
        describe_pixels(ds)


def encapsulated(ds: Dataset, syntax: Any, frames: list[bytes]) -> Dataset:
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless])
@pytest.mark.parametrize("stream", [b"\0\0", b"\xff\xd8\xff\xff\xff\xff", b"\xff\x4f\xff\x51\0", b"garbage!"])
@pytest.mark.filterwarnings("ignore")
def test_corrupt_codestream_is_an_error_with_a_reason(radiograph: Any, syntax: Any, stream: bytes) -> None:
    ds = encapsulated(radiograph(), syntax, [stream])
    with pytest.raises(PixelError, match=r"decoded|codestream|shape|fragment"):
        list(stored_frames(ds))


@pytest.mark.filterwarnings("ignore")
def test_fewer_fragments_than_frames_is_an_error(radiograph: Any) -> None:
    ds = radiograph(np.zeros((128, 96), np.uint16))
    ds.compress(JPEG2000Lossless)
    ds.NumberOfFrames = 3
    with pytest.raises(PixelError):
        list(stored_frames(ds))

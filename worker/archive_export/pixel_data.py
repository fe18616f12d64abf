"""Writes pixels anew, so that nothing but stored values travels: no comments, overlays or bytes behind them.

Compressed streams hold comments and application segments, unused bits hold overlays (PS3.5 8.1.2), and bytes
may follow the last frame. All of it is left behind: the result is native, little-endian and exactly as long
as declared.
"""

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

from model.errors import PixelError
from model.imaging.decoding import describe_pixels, is_big_endian
from model.imaging.elements import MALFORMED, integer, value

_MODULE = (
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
)
"""Attributes of the Image Pixel Module (PS3.3 C.7.6.3) that describe the bytes."""


def native_pixels(source: Dataset) -> Dataset:
    """Return Pixel Data and the attributes that describe it, in Explicit VR Little Endian.

    Raises:
        PixelError: the pixels cannot be decoded, or are not as declared.
    """
    pixels = _described(source)
    if integer(source, "BitsAllocated") == 1:
        return _bits(pixels)
    describe_pixels(source)
    if pixels.file_meta.TransferSyntaxUID.is_encapsulated:
        try:
            pixels.decompress(as_rgb=True, generate_instance_uid=False)
        except (*MALFORMED, MemoryError) as exc:
            raise PixelError(f"pixel data cannot be decoded ({type(exc).__name__})") from exc
    pixels.PixelData = _significant(pixels, is_big=is_big_endian(source))
    return pixels


def _described(source: Dataset) -> Dataset:
    pixels = Dataset()
    for keyword in _MODULE:
        if value(source, keyword) is not None:
            setattr(pixels, keyword, value(source, keyword))
    data = value(source, "PixelData")
    if not isinstance(data, bytes):
        raise PixelError("Pixel Data is not a string of bytes")
    pixels.PixelData = data
    pixels["PixelData"].VR = "OW" if (integer(source, "BitsAllocated") or 16) > 8 else "OB"
    pixels.file_meta = FileMetaDataset()
    pixels.file_meta.TransferSyntaxUID = UID(_syntax(source))
    return pixels


def _syntax(source: Dataset) -> str:
    meta = getattr(source, "file_meta", None)
    found = value(meta, "TransferSyntaxUID") if meta is not None else None
    return str(found or (ExplicitVRBigEndian if is_big_endian(source) else ExplicitVRLittleEndian))


def _bits(pixels: Dataset) -> Dataset:
    """Cut the one-bit pixels of a segmentation to their length."""
    syntax = pixels.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        try:
            pixels.decompress(generate_instance_uid=False)
        except (*MALFORMED, MemoryError) as exc:
            raise PixelError(f"pixel data cannot be decoded ({type(exc).__name__})") from exc
    count = int(pixels.Rows) * int(pixels.Columns) * int(integer(pixels, "NumberOfFrames") or 1)
    data = pixels.PixelData[: (count + 7) // 8]
    if 8 * len(data) < count:
        raise PixelError("pixel data is shorter than declared")
    last = count % 8
    if last:
        data = data[:-1] + bytes([data[-1] & ((1 << last) - 1)])
    pixels.PixelData = data + bytes(len(data) % 2)
    return pixels


def _significant(pixels: Dataset, *, is_big: bool) -> bytes:
    """Keep the bits that Bits Stored and High Bit declare, extend the sign, cut what follows the pixels."""
    allocated, stored = int(pixels.BitsAllocated), int(pixels.BitsStored)
    data = pixels.PixelData[: _length(pixels)]
    if stored < allocated:
        low = int(pixels.HighBit) + 1 - stored
        kind = "i" if pixels.PixelRepresentation == 1 else "u"
        words = np.frombuffer(data, f"{'>' if is_big else '<'}{kind}{allocated // 8}")
        shifted = np.left_shift(words, allocated - stored - low)
        words = np.left_shift(np.right_shift(shifted, allocated - stored), low)
        data = words.astype(f"<{kind}{allocated // 8}").tobytes()
    elif is_big and allocated > 8:
        data = np.frombuffer(data, f">u{allocated // 8}").astype(f"<u{allocated // 8}").tobytes()
    return data + bytes(len(data) % 2)


def _length(pixels: Dataset) -> int:
    samples = int(pixels.Rows) * int(pixels.Columns) * int(integer(pixels, "NumberOfFrames") or 1)
    samples *= int(integer(pixels, "SamplesPerPixel") or 1)
    if pixels.PhotometricInterpretation == "YBR_FULL_422":
        samples = samples * 2 // 3
    return samples * int(pixels.BitsAllocated) // 8

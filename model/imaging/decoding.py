"""Turns Pixel Data into stored values, one frame at a time, after its declared size was believed.

Nothing is allocated or decoded before Rows, Columns, Number of Frames and the length of Pixel Data agree.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from model.errors import PixelError
from model.imaging.codestream import check_fragments
from model.imaging.elements import MALFORMED, integer, is_blank, text, value

PIXEL_LIMIT = 512 * 2**20
"""Most pixels in one instance."""

BYTE_LIMIT = 2 * 2**30
"""Most bytes of decoded pixel data in one instance."""


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """The Image Pixel Module (PS3.3 C.7.6.3) of one instance, checked for sense."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric: str
    transfer_syntax: UID

    @property
    def is_plain(self) -> bool:
        """Whether decoded words are the stored ones, unused bits and all."""
        return not self.transfer_syntax.is_encapsulated or self.transfer_syntax == RLELossless

    @property
    def byte_count(self) -> int:
        """Bytes of all frames as native Pixel Data, without padding."""
        samples = self.rows * self.columns * self.frames * self.samples
        if self.photometric == "YBR_FULL_422" and not self.transfer_syntax.is_encapsulated:
            samples = samples * 2 // 3
        return samples * self.bits_allocated // 8


def describe_pixels(ds: Dataset) -> PixelDescription:
    """Check what the header declares of its pixels, without touching them.

    Raises:
        PixelError: an element is missing or senseless, the size is over the limits, the pixels are of a kind
            that is not read (1-bit, floating point), or native Pixel Data is shorter or longer than declared;
            one byte of padding is as it should be (PS3.5 8.1.1).
    """
    if value(ds, "PixelData") is None:
        raise PixelError("floating-point pixels are not read" if is_floating(ds) else "no Pixel Data")
    frames = 1 if is_blank(ds, "NumberOfFrames") else integer(ds, "NumberOfFrames")
    description = PixelDescription(
        rows=_positive(ds, "Rows"),
        columns=_positive(ds, "Columns"),
        frames=_positive_count("NumberOfFrames", frames),
        samples=_positive(ds, "SamplesPerPixel", 1),
        bits_allocated=_positive(ds, "BitsAllocated"),
        bits_stored=_positive(ds, "BitsStored"),
        high_bit=_high_bit(ds),
        signed=integer(ds, "PixelRepresentation") == 1,
        photometric=text(ds, "PhotometricInterpretation").upper(),
        transfer_syntax=_transfer_syntax(ds),
    )
    _check(description)
    _check_length(ds, description)
    return description


def stored_frames(ds: Dataset, indices: Sequence[int] | None = None) -> Iterator[NDArray[np.integer]]:
    """Decode frames, counted from 0, to stored values: (J, I), or (J, I, 3) as RGB for a colour image.

    Bits above High Bit (overlays of old) are masked, signed values extended. YBR becomes RGB; palette colour
    stays an index.

    Raises:
        PixelError: as `describe_pixels`, or the pixel data cannot be decoded or decode to another shape.
    """
    description = describe_pixels(ds)
    wanted = list(range(description.frames)) if indices is None else list(indices)
    try:
        decoder = get_decoder(description.transfer_syntax)
        # pydicom drops the bits above Bits Stored wherever High Bit is, so native data are cut here instead.
        frames = decoder.iter_array(
            ds, indices=wanted, raw=False, correct_unused_bits=not description.is_plain
        )
        for array, _ in frames:
            yield _significant_bits(_expected_shape(array, description), description)
    except PixelError:
        raise
    except (*MALFORMED, MemoryError) as exc:
        raise PixelError(f"pixel data cannot be decoded ({type(exc).__name__})") from exc


def _positive(ds: Dataset, keyword: str, default: int | None = None) -> int:
    found = integer(ds, keyword)
    return _positive_count(keyword, default if found is None else found)


def _positive_count(keyword: str, found: int | None) -> int:
    if found is None:
        raise PixelError(f"{keyword} is missing or not a number")
    if found < 1:
        raise PixelError(f"{keyword} is {found}")
    return found


def _high_bit(ds: Dataset) -> int:
    high_bit = integer(ds, "HighBit")
    return _positive(ds, "BitsStored") - 1 if high_bit is None else high_bit


def _transfer_syntax(ds: Dataset) -> UID:
    found = value(ds.file_meta, "TransferSyntaxUID") if hasattr(ds, "file_meta") else None
    if found is None:
        # A data set without File Meta Information that could be parsed was parsed in one of these.
        found = _NATIVE.get(ds.original_encoding)
    if found is None:
        raise PixelError("no Transfer Syntax UID")
    syntax = UID(str(found))
    if syntax.is_private or not syntax.is_transfer_syntax:
        raise PixelError("the transfer syntax is not known")
    return syntax


_NATIVE: Mapping[tuple[bool | None, bool | None], UID] = {
    (True, True): ImplicitVRLittleEndian,
    (False, True): ExplicitVRLittleEndian,
    (False, False): ExplicitVRBigEndian,
}
"""By whether VRs are implicit and bytes little-endian."""


def _check(description: PixelDescription) -> None:
    pixels = description.rows * description.columns * description.frames
    if pixels > PIXEL_LIMIT or description.byte_count > BYTE_LIMIT:
        raise PixelError(
            f"{description.columns} x {description.rows} x {description.frames} pixels are over the limit"
        )
    if description.bits_allocated not in (8, 16, 32):
        raise PixelError(f"{description.bits_allocated} bits allocated are not supported")
    if not description.bits_stored <= description.high_bit + 1 <= description.bits_allocated:
        raise PixelError("Bits Stored, High Bit and Bits Allocated contradict each other")
    if description.samples not in (1, 3):
        raise PixelError(f"{description.samples} samples per pixel are not supported")
    single = description.photometric.startswith(("MONOCHROME", "PALETTE"))
    several = description.photometric.startswith(("RGB", "YBR"))
    if (single and description.samples == 3) or (several and description.samples == 1):
        raise PixelError("Samples per Pixel and Photometric Interpretation contradict each other")


def _check_length(ds: Dataset, description: PixelDescription) -> None:
    data = value(ds, "PixelData")
    if not isinstance(data, bytes):
        raise PixelError("Pixel Data is not a string of bytes")
    if not description.transfer_syntax.is_encapsulated:
        expected = description.byte_count
        if len(data) not in (expected, expected + expected % 2):
            kind = "shorter" if len(data) < expected else "longer"
            raise PixelError(f"pixel data is {kind} than declared: {len(data)} bytes, {expected} expected")
        return
    check_fragments(data, frames=description.frames, rows=description.rows, columns=description.columns)


def _expected_shape(array: NDArray[np.integer], description: PixelDescription) -> NDArray[np.integer]:
    expected = (description.rows, description.columns) + ((3,) if description.samples == 3 else ())
    if array.shape != expected:
        raise PixelError(f"decoded to {array.shape}, {expected} expected")
    return array


def _significant_bits(array: NDArray[np.integer], description: PixelDescription) -> NDArray[np.integer]:
    """Keep Bits Stored below High Bit; only native and RLE data can hold more than those (PS3.5 8.1.1)."""
    stored = description.bits_stored
    if not description.is_plain:
        return array
    shift = description.high_bit + 1 - stored
    if shift == 0 and stored == description.bits_allocated:
        return array
    bits = array.astype(np.int32 if description.bits_allocated < 32 else np.int64)
    bits >>= shift
    bits &= (1 << stored) - 1
    if description.signed:
        bits -= (bits >> (stored - 1)) << stored
    return bits


def is_floating(ds: Dataset) -> bool:
    """Whether the pixels are floating-point numbers (PS3.3 C.7.6.24, C.7.6.25)."""
    return not (is_blank(ds, "FloatPixelData") and is_blank(ds, "DoubleFloatPixelData"))


def is_big_endian(ds: Dataset) -> bool:
    """Whether words in byte strings of this instance, such as LUT Data, are big-endian."""
    return _transfer_syntax(ds) == ExplicitVRBigEndian

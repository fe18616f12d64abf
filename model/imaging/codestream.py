"""Checks compressed Pixel Data before a codec believes it: whole, and as large as declared (PS3.5 A.4)."""

import struct

from model.errors import PixelError

_ITEM = b"\xfe\xff\x00\xe0"
_DELIMITER = b"\xfe\xff\xdd\xe0"
_J2K = b"\xff\x4f\xff\x51"
_JPEG = b"\xff\xd8"
_END = b"\xff\xd9"
"""EOI of JPEG and JPEG-LS, EOC of JPEG 2000."""
_SOF = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7})
"""Start-of-frame markers of JPEG (ISO 10918-1 B.1.1.3) and JPEG-LS (ISO 14495-1 C.1.1)."""


def check_fragments(encapsulated: bytes, *, frames: int, rows: int, columns: int) -> None:
    """Check that a sequence of fragments can hold the declared frames.

    Raises:
        PixelError: an item is cut, there are fewer fragments than frames, the last codestream has no end,
            or the first one is of another size. Streams that do not tell their size, as RLE, pass.
    """
    fragments = _fragments(encapsulated)
    if len(fragments) < frames:
        raise PixelError(f"{len(fragments)} fragments for {frames} frames")
    first, last = fragments[0], fragments[-1]
    if first.startswith((_J2K, _JPEG)) and _END not in last[-32:]:
        raise PixelError("the codestream has no end")
    size = _size(first)
    if size is not None and size != (rows, columns):
        raise PixelError(
            f"the codestream holds {size[1]} x {size[0]} pixels, {columns} x {rows} are declared"
        )


def _fragments(data: bytes) -> list[bytes]:
    """Split items; the first one is the Basic Offset Table and no fragment."""
    found: list[bytes] = []
    position, view = 0, memoryview(data)
    while position + 8 <= len(data) and data[position : position + 4] == _ITEM:
        (length,) = struct.unpack_from("<I", data, position + 4)
        if position + 8 + length > len(data):
            raise PixelError("a fragment of the pixel data is cut")
        found.append(bytes(view[position + 8 : position + 8 + length]))
        position += 8 + length
    rest = data[position:].strip(b"\0")
    if len(found) < 2 or (rest and not data[position:].startswith(_DELIMITER)):
        raise PixelError("the pixel data are no sequence of fragments")
    return found[1:]


def _size(stream: bytes) -> tuple[int, int] | None:
    """Rows and columns that a codestream announces; None where it does not."""
    try:
        if stream.startswith(_J2K):
            return _j2k_size(stream)
        if stream.startswith(_JPEG):
            return _jpeg_size(stream)
    except struct.error:
        return None
    return None


def _j2k_size(stream: bytes) -> tuple[int, int]:
    """SIZ marker segment: Xsiz, Ysiz less the image offset (ISO 15444-1 A.5.1)."""
    x, y, x_offset, y_offset = struct.unpack_from(">4I", stream, 8)
    return y - y_offset, x - x_offset


def _jpeg_size(stream: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 4 <= len(stream) and stream[position] == 0xFF:
        marker = stream[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in _SOF:
            rows, columns = struct.unpack_from(">2H", stream, position + 5)
            return (rows, columns) if rows else None
        (length,) = struct.unpack_from(">H", stream, position + 2)
        position += 2 + length
    return None

"""Checks compressed Pixel Data before a codec believes it: whole, and as large as declared (PS3.5 A.4)."""

import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise

from model.errors import PixelError

_ITEM = b"\xfe\xff\x00\xe0"
_DELIMITER = b"\xfe\xff\xdd\xe0"
_J2K = b"\xff\x4f\xff\x51"
_JP2 = b"\0\0\0\x0cjP  "
"""A codestream in a JP2 file is not allowed (PS3.5 A.4.4), but seen."""
_JPEG = b"\xff\xd8"
_END = b"\xff\xd9"
"""EOI of JPEG and JPEG-LS, EOC of JPEG 2000."""
_SOF = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7})
"""Start-of-frame markers of JPEG (ISO 10918-1 B.1.1.3) and JPEG-LS (ISO 14495-1 C.1.1)."""
_HEAD = 2**20
"""Bytes in which a codestream must have told its size; what stands before are comments and profiles."""


def check_fragments(encapsulated: bytes, *, frames: int, rows: int, columns: int) -> None:
    """Check that a sequence of fragments can hold the declared frames.

    Raises:
        PixelError: an item is cut, there are fewer fragments than frames, the last codestream has no end,
            or one is of another size. Streams that do not tell their size, as RLE, pass.
    """
    fragments = _fragments(encapsulated)
    if len(fragments) < frames:
        raise PixelError(f"{len(fragments)} fragments for {frames} frames")
    if _is_start(fragments[0]) and _END not in bytes(fragments[-1][-32:]):
        raise PixelError("the codestream has no end")
    for head in _heads(fragments):
        size = _size(head)
        if size is not None and size != (rows, columns):
            raise PixelError(
                f"the codestream holds {size[1]} x {size[0]} pixels, {columns} x {rows} are declared"
            )


def _fragments(data: bytes) -> list[memoryview]:
    """Split items; the first one is the Basic Offset Table and no fragment."""
    found: list[memoryview] = []
    position, view = 0, memoryview(data)
    while position + 8 <= len(data) and data[position : position + 4] == _ITEM:
        (length,) = struct.unpack_from("<I", data, position + 4)
        if position + 8 + length > len(data):
            raise PixelError("a fragment of the pixel data is cut")
        found.append(view[position + 8 : position + 8 + length])
        position += 8 + length
    delimiter = data[position : position + 4] == _DELIMITER
    if len(found) < 2 or not (delimiter or bytes(view[position : position + 64]).strip(b"\0") == b""):
        raise PixelError("the pixel data are no sequence of fragments")
    return found[1:]


def _is_start(fragment: memoryview) -> bool:
    return bytes(fragment[:8]).startswith((_J2K, _JP2, _JPEG))


def _heads(fragments: Sequence[memoryview]) -> Iterator[bytes]:
    """The first bytes of each codestream, which may be spread over several fragments."""
    starts = [n for n, fragment in enumerate(fragments) if _is_start(fragment)]
    for start, end in pairwise([*starts, len(fragments)]):
        head = b""
        for fragment in fragments[start:end]:
            head += bytes(fragment[: _HEAD - len(head)])
            if len(head) >= _HEAD:
                break
        yield head


def _size(head: bytes) -> tuple[int, int] | None:
    """Rows and columns that a codestream announces; None where it does not."""
    try:
        if head.startswith(_JP2):
            return _j2k_size(head[head.index(_J2K) :])
        return _j2k_size(head) if head.startswith(_J2K) else _jpeg_size(head)
    except (struct.error, ValueError):
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

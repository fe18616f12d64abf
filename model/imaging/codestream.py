"""Reads how large an image a compressed frame claims to be, before a codec believes it."""

import struct

_ITEM = b"\xfe\xff\x00\xe0"
_J2K = b"\xff\x4f\xff\x51"
_JPEG = b"\xff\xd8"
_SOF = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7})
"""Start-of-frame markers of JPEG (ISO 10918-1 B.1.1.3) and JPEG-LS (ISO 14495-1 C.1.1)."""


def codestream_size(encapsulated: bytes) -> tuple[int, int] | None:
    """Rows and columns of the first fragment of encapsulated Pixel Data (PS3.5 A.4).

    None where the stream does not say, as in RLE or in a fragment that is cut before its header ends.
    """
    try:
        fragment = _first_fragment(encapsulated)
        if fragment.startswith(_J2K):
            return _j2k_size(fragment)
        if fragment.startswith(_JPEG):
            return _jpeg_size(fragment)
    except struct.error:
        return None
    return None


def _first_fragment(data: bytes) -> bytes:
    """Skip the Basic Offset Table, which is always the first item."""
    if data[:4] != _ITEM:
        return b""
    (table,) = struct.unpack_from("<I", data, 4)
    start = 8 + table
    if data[start : start + 4] != _ITEM:
        return b""
    (length,) = struct.unpack_from("<I", data, start + 4)
    return data[start + 8 : start + 8 + length]


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

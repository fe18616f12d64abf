"""Depth check of a whole data set before a recursive parser sees it."""

import struct
import zlib
from typing import Final, NamedTuple

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from dicom_node.errors import HeaderError
from dicom_node.header import ITEM, LONG_VRS, MAX_DEPTH, SEQUENCE_END, UNDEFINED, looks_implicit
from dicom_node.study import Reason

MAX_INFLATED: Final = 512 << 20
"""Bytes that a deflated data set may become."""
MAX_RATIO: Final = 200
"""How many times its size it may become; headers and pixels of real images stay far below."""
ALWAYS_ALLOWED: Final = 64 << 20
"""Bytes that it may become whatever its size: a label map of a whole CT shrinks 250 times."""


class _Open(NamedTuple):
    """One open sequence or run of fragments, or the data set itself."""

    end: int
    is_implicit: bool
    has_end_delimiter: bool
    holds_fragments: bool


def check_nesting(data_set: memoryview, transfer_syntax_uid: str) -> None:
    """Follow the structure iteratively; what is merely malformed is left to the parser.

    Raises:
        HeaderError: sequences are nested deeper than 32, or a deflated data set grows beyond its limit.
    """
    data = _inflate(data_set) if transfer_syntax_uid == DeflatedExplicitVRLittleEndian else data_set
    is_big = transfer_syntax_uid == ExplicitVRBigEndian
    is_implicit = transfer_syntax_uid == ImplicitVRLittleEndian if is_big else looks_implicit(bytes(data[:8]))
    _Walk(data, ">" if is_big else "<").check(is_implicit=is_implicit)


def most_inflated(size: int) -> int:
    """Return how many bytes a deflated data set of `size` bytes may become."""
    return min(MAX_INFLATED, max(ALWAYS_ALLOWED, MAX_RATIO * size))


def _inflate(data_set: memoryview) -> memoryview:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflate.decompress(data_set, most_inflated(len(data_set)))
    except zlib.error as exc:
        raise HeaderError("the data set cannot be inflated") from exc
    if inflate.unconsumed_tail:
        raise HeaderError("the inflated data set is larger than it may be")
    return memoryview(data)


class _Walk:
    def __init__(self, data: memoryview, order: str) -> None:
        self._data = data
        self._tag = struct.Struct(order + "HH").unpack_from
        self._short = struct.Struct(order + "H").unpack_from
        self._long = struct.Struct(order + "L").unpack_from

    def check(self, *, is_implicit: bool) -> None:
        size = len(self._data)
        stack = [_Open(size, is_implicit, has_end_delimiter=False, holds_fragments=False)]
        position = 0
        while position + 8 <= size:
            while len(stack) > 1 and not stack[-1].has_end_delimiter and position >= stack[-1].end:
                stack.pop()
            group, element = self._tag(self._data, position)
            if group == 0xFFFE:
                length = self._long(self._data, position + 4)[0]
                position += 8
                if element == SEQUENCE_END and len(stack) > 1:
                    stack.pop()
                elif element == ITEM and stack[-1].holds_fragments and length != UNDEFINED:
                    position += length
                continue
            position, entered = self._element(position, stack[-1], is_pixel_data=group == 0x7FE0)
            if entered is not None:
                stack.append(entered)
                if len(stack) > MAX_DEPTH + 1:
                    raise HeaderError(f"sequences are nested deeper than {MAX_DEPTH}", Reason.NESTING)

    def _element(self, position: int, inside: _Open, *, is_pixel_data: bool) -> tuple[int, _Open | None]:
        """Return where to go on, and the sequence that begins there, if one does."""
        vr = b""
        if inside.is_implicit:
            length, start = self._long(self._data, position + 4)[0], position + 8
        else:
            vr = bytes(self._data[position + 4 : position + 6])
            is_long = vr in LONG_VRS
            if is_long and position + 12 > len(self._data):
                return len(self._data), None
            length = (
                self._long(self._data, position + 8) if is_long else self._short(self._data, position + 6)
            )[0]
            start = position + (12 if is_long else 8)
        if length == UNDEFINED:
            is_fragments = is_pixel_data or vr in (b"OB", b"OW")
            is_implicit = inside.is_implicit or vr == b"UN"
            return start, _Open(
                len(self._data), is_implicit, has_end_delimiter=True, holds_fragments=is_fragments
            )
        if vr == b"SQ" or (
            inside.is_implicit and not is_pixel_data and self._begins_with_item(start, length)
        ):
            return start, _Open(
                start + length, inside.is_implicit, has_end_delimiter=False, holds_fragments=False
            )
        return start + length, None

    def _begins_with_item(self, start: int, length: int) -> bool:
        return (
            length >= 8
            and start + length <= len(self._data)
            and self._tag(self._data, start) == (0xFFFE, ITEM)
        )

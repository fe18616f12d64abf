"""A bounded look at the head of a data set: enough to file it, never its pixels, never a full parse.

The bytes come from strangers. The walk is iterative, follows declared lengths, keeps at most a few short
values, and stops after group 0020; what it cannot follow is a `HeaderError`, never an exception of the
parser.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from dicom_node.errors import HeaderError
from dicom_node.study import Reason

ReadAt = Callable[[int, int], bytes]
"""(offset, length) -> at most `length` bytes of the data set from `offset` on."""

MAX_DEPTH: Final = 32
MAX_ELEMENTS: Final = 50_000
MAX_VALUE: Final = 256
"""Bytes kept of one value; with the 17 wanted elements far below 64 kB in all."""
MAX_INFLATED: Final = 16 << 20
"""Bytes of a deflated data set that are inflated at most in search of its header."""

_CHUNK: Final = 1 << 14
_LAST_GROUP: Final = 0x0020
UNDEFINED: Final = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD
LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())

_FIELDS: Final[dict[int, str]] = {
    0x00080016: "sop_class_uid",
    0x00080018: "sop_instance_uid",
    0x00080020: "study_date",
    0x00080030: "study_time",
    0x00080060: "modality",
    0x00080070: "manufacturer",
    0x00081030: "study_description",
    0x0008103E: "series_description",
    0x00081090: "manufacturer_model_name",
    0x00100020: "patient_id",
    0x00100021: "issuer_of_patient_id",
    0x00100030: "patient_birth_date",
    0x00100040: "patient_sex",
    0x00180015: "body_part_examined",
    0x00181000: "device_serial_number",
    0x00181020: "software_versions",
    0x0020000D: "study_instance_uid",
    0x0020000E: "series_instance_uid",
}


@dataclass(frozen=True, slots=True, repr=False)
class Header:
    """What filing needs; an absent or empty element is an empty string."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    series_instance_uid: str = ""
    study_instance_uid: str = ""
    modality: str = ""
    study_date: str = ""
    study_time: str = ""
    study_description: str = ""
    series_description: str = ""
    body_part_examined: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    manufacturer: str = ""
    manufacturer_model_name: str = ""
    device_serial_number: str = ""
    software_versions: str = ""


def peek(read_at: ReadAt, size: int, transfer_syntax_uid: str) -> Header:
    """Read the head of a data set of `size` encoded bytes.

    Raises:
        HeaderError: empty, nested deeper than 32, or lengths and structure do not add up.
    """
    if size == 0:
        raise HeaderError("the data set is empty")
    if transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        inflated = _Inflated(read_at)
        return _Walk(inflated.read_at, None, is_big_endian=False).header()
    return _Walk(read_at, size, is_big_endian=transfer_syntax_uid == ExplicitVRBigEndian).header()


def peek_bytes(data: bytes, transfer_syntax_uid: str) -> Header:
    """Like `peek`, for a data set in memory."""
    return peek(lambda offset, length: data[offset : offset + length], len(data), transfer_syntax_uid)


def looks_implicit(head: bytes) -> bool:
    """Say whether a little endian data set is in implicit VR, by its first element.

    As DCMTK and pydicom do: some senders encode otherwise than they declare.
    """
    vr = head[4:6]
    return not (len(vr) == 2 and vr.isalpha() and vr.isupper())


class _Inflated:
    """A deflated data set (PS3.5 A.5) read forward only, with a cap on what comes out."""

    def __init__(self, read_at: ReadAt) -> None:
        self._read_at = read_at
        self._encoded_at = 0
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._pending = b""
        self._window = b""
        self._window_at = 0

    def read_at(self, offset: int, length: int) -> bytes:
        while self._window_at + len(self._window) < offset + length and (more := self._more()):
            keep = max(0, min(len(self._window), offset - self._window_at))
            self._window = self._window[keep:] + more
            self._window_at += keep
        start = offset - self._window_at
        return self._window[start : start + length] if start >= 0 else b""

    def _more(self) -> bytes:
        if self._window_at + len(self._window) > MAX_INFLATED:
            raise HeaderError("the deflated header is larger than it may be")
        encoded = self._pending
        if not encoded:
            encoded = self._read_at(self._encoded_at, _CHUNK)
            self._encoded_at += len(encoded)
        try:
            out = self._inflate.decompress(encoded, _CHUNK)
        except zlib.error as exc:
            raise HeaderError("the data set cannot be inflated") from exc
        self._pending = self._inflate.unconsumed_tail
        return out


class _Walk:
    """One pass over the elements, with an explicit stack instead of recursion."""

    def __init__(self, read_at: ReadAt, size: int | None, *, is_big_endian: bool) -> None:
        self._read_at = read_at
        self._size = size
        order = ">" if is_big_endian else "<"
        self._element = struct.Struct(order + "HH2sH").unpack_from
        self._long = struct.Struct(order + "L").unpack_from
        self._implicit = [False]
        """Encoding of the data set and of each open sequence: a UN of undefined length is implicit."""
        self._buffer = read_at(0, _CHUNK)
        self._buffer_at = 0
        if not is_big_endian:
            self._implicit[0] = looks_implicit(self._buffer)

    def header(self) -> Header:
        values: dict[str, str] = {}
        implicit, position = self._implicit, 0
        for _ in range(MAX_ELEMENTS):
            at = position - self._buffer_at
            if not 0 <= at <= len(self._buffer) - 12:
                at = self._have(position, 12)
            left = len(self._buffer) - at
            if left < 8:
                break
            group, element, vr, length = self._element(self._buffer, at)
            if group == 0xFFFE:
                position = self._delimiter(position, element, self._long(self._buffer, at + 4)[0])
                continue
            is_nested = len(implicit) > 1
            if group > _LAST_GROUP and not is_nested:
                return Header(**values)
            start = position + 8
            if implicit[-1] or vr in LONG_VRS:
                length, start = self._long_length(at, start)
            elif not (vr.isalpha() and vr.isupper()):
                raise HeaderError("an element has no value representation")
            if length == UNDEFINED:
                position = self._open(start, is_implicit=implicit[-1] or vr == b"UN")
                continue
            name = None if is_nested else _FIELDS.get(group << 16 | element)
            if name is not None:
                values[name] = self._value(start, length)
            position = start + length
            if self._size is not None and position > self._size:
                raise HeaderError("an element is longer than the data set")
        else:
            raise HeaderError("the header has more elements than it may have")
        if len(implicit) > 1:
            raise HeaderError("a sequence is not closed")
        return Header(**values)

    def _have(self, position: int, length: int) -> int:
        """Make `length` bytes from `position` available, as far as there are any; return their place."""
        at = position - self._buffer_at
        if at < 0 or at + length > len(self._buffer):
            self._buffer = self._read_at(position, max(length, _CHUNK))
            self._buffer_at = position
            return 0
        return at

    def _long_length(self, at: int, start: int) -> tuple[int, int]:
        """Return a value length of 32 bits and the value's position."""
        if self._implicit[-1]:
            return self._long(self._buffer, at + 4)[0], start
        if len(self._buffer) < at + 12:
            raise HeaderError("the data set ends within an element")
        return self._long(self._buffer, at + 8)[0], start + 4

    def _open(self, start: int, *, is_implicit: bool) -> int:
        if len(self._implicit) > MAX_DEPTH:
            raise HeaderError(f"sequences are nested deeper than {MAX_DEPTH}", Reason.NESTING)
        self._implicit.append(is_implicit)
        return start

    def _delimiter(self, position: int, element: int, length: int) -> int:
        """Pass an item tag or delimiter (PS3.5 7.5); items of known length are skipped unseen."""
        if len(self._implicit) == 1:
            # A stray delimiter: DCMTK and pydicom pass it too.
            return self._skip(position + 8, 0)
        if element == SEQUENCE_END:
            self._implicit.pop()
        elif element == ITEM and length != UNDEFINED:
            return self._skip(position + 8, length)
        elif element not in (ITEM, ITEM_END):
            raise HeaderError("a delimiter is not one")
        return position + 8

    def _skip(self, start: int, length: int) -> int:
        if self._size is not None and start + length > self._size:
            raise HeaderError("an element is longer than the data set")
        return start + length

    def _value(self, start: int, length: int) -> str:
        length = min(length, MAX_VALUE)
        at = self._have(start, length)
        raw = self._buffer[at : at + length]
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            # Values are compared with each other, not shown: any one-to-one decoding will do.
            text = raw.decode("latin-1")
        # PostgreSQL has no text with NUL in it.
        return text.split("\\", 1)[0].strip(" \0").replace("\0", "\ufffd")

"""File Meta Information (PS3.10 7.1) that we put before a received data set, and finding where one ends."""

import struct
from dataclasses import dataclass
from functools import lru_cache

from dicom_node.errors import DamagedError, HeaderError
from dicom_node.header import LONG_VRS
from dicom_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

PREAMBLE = bytes(128) + b"DICM"
GROUP_LENGTH = struct.Struct("<HH2sHL")
_SHORT_ELEMENT = struct.Struct("<HH2sH")
_LONG_ELEMENT = struct.Struct("<HH2s2xL")
_SEAL = struct.Struct("<16s64s")
SEAL_BYTES = _SEAL.size
MOST_META = 1 << 16
"""Bytes that the file meta information of others may have."""


def _element(element: int, vr: bytes, value: bytes, padding: bytes) -> bytes:
    value += padding * (len(value) & 1)
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def encode(
    sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, source_ae_title: str = ""
) -> bytes:
    """Return preamble, prefix and group 0002 in Explicit VR Little Endian; the preamble is all zeros.

    It ends with `SEAL_BYTES` zeros, Private Information (0002,0102), in which `seal` is put when the data set
    is complete.
    """
    before, after = _around(sop_class_uid, transfer_syntax_uid, source_ae_title)
    body = before + _element(0x03, b"UI", sop_instance_uid.encode("ascii"), b"\0") + after
    return PREAMBLE + GROUP_LENGTH.pack(2, 0, b"UL", 4, len(body)) + body


@lru_cache
def _around(sop_class_uid: str, transfer_syntax_uid: str, source_ae_title: str) -> tuple[bytes, bytes]:
    """Return what precedes and what follows the SOP Instance UID: the same for a whole series."""
    before = struct.pack("<HH2sHL", 2, 1, b"OB", 0, 2) + b"\0\1"
    before += _element(0x02, b"UI", sop_class_uid.encode("ascii"), b"\0")
    body = _element(0x10, b"UI", transfer_syntax_uid.encode("ascii"), b"\0")
    body += _element(0x12, b"UI", IMPLEMENTATION_CLASS_UID.encode("ascii"), b"\0")
    body += _element(0x13, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii"), b" ")
    if source_ae_title:
        body += _element(0x16, b"AE", source_ae_title.encode("ascii", "replace"), b" ")
    body += _element(0x100, b"UI", IMPLEMENTATION_CLASS_UID.encode("ascii"), b"\0")
    body += _LONG_ELEMENT.pack(2, 0x102, b"OB", SEAL_BYTES) + bytes(SEAL_BYTES)
    return before, body


def seal(size: int, digest: str) -> bytes:
    """Return what says of a file that its data set is complete: its length in bytes and its digest.

    With it a file tells by itself, without an index, that it is what was received.
    """
    return _SEAL.pack(f"{size:016}".encode(), digest.encode())


def read_seal(head: bytes) -> tuple[int, str] | None:
    """Return length and digest from a file's head, preamble to data set; None if it was never sealed."""
    mark = _LONG_ELEMENT.pack(2, 0x102, b"OB", SEAL_BYTES)
    if head[-SEAL_BYTES - len(mark) : -SEAL_BYTES] != mark or not any(head[-SEAL_BYTES:]):
        return None
    size, digest = _SEAL.unpack(head[-SEAL_BYTES:])
    return int(size), digest.decode().rstrip("\0")


def data_set_offset(content: bytes) -> int:
    """Return where the data set begins in a file that we wrote.

    Raises:
        DamagedError: it does not begin as our files do.
    """
    start = len(PREAMBLE)
    if content[:start] != PREAMBLE or len(content) < start + GROUP_LENGTH.size:
        raise DamagedError("a stored file has lost its head")
    group, element, _, _, length = GROUP_LENGTH.unpack_from(content, start)
    if (group, element) != (2, 0):
        raise DamagedError("a stored file has lost its head")
    return start + GROUP_LENGTH.size + length


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What the file meta information of a file says of its data set; what it leaves out is empty."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def end_of_meta(head: bytes) -> int | None:
    """Return where the data set begins in anybody's file; None while too little of the file is there.

    Raises:
        HeaderError: it is no DICOM file.
    """
    start = len(PREAMBLE)
    if len(head) < start + GROUP_LENGTH.size:
        return None
    group, element, _, _, length = GROUP_LENGTH.unpack_from(head, start)
    if head[start - 4 : start] != b"DICM" or (group, element) != (2, 0) or length > MOST_META:
        raise HeaderError("no DICOM file")
    end = start + GROUP_LENGTH.size + length
    return end if len(head) >= end else None


def read_meta(head: bytes) -> FileMeta:
    """Read the file meta information of anybody's file, from the preamble to where the data set begins.

    Raises:
        HeaderError: its elements do not fill it.
    """
    found: dict[int, str] = {}
    at = len(PREAMBLE)
    while at < len(head):
        if len(head) < at + _LONG_ELEMENT.size:
            raise HeaderError("the file meta information breaks off")
        _, element, vr, length = _SHORT_ELEMENT.unpack_from(head, at)
        start = at + _SHORT_ELEMENT.size
        if vr in LONG_VRS:
            (*_, length) = _LONG_ELEMENT.unpack_from(head, at)
            start = at + _LONG_ELEMENT.size
        at = start + length
        if at > len(head):
            raise HeaderError("an element is longer than the file meta information")
        found[element] = head[start:at].decode("latin-1").strip(" \0")
    return FileMeta(*(found.get(element, "") for element in (0x0002, 0x0003, 0x0010)))

"""File Meta Information (PS3.10 7.1) that we put before a received data set, and finding where one ends."""

import struct

from dicom_node.errors import StorageError
from dicom_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

PREAMBLE = bytes(128) + b"DICM"
GROUP_LENGTH = struct.Struct("<HH2sHL")


def _element(element: int, vr: bytes, value: bytes, padding: bytes) -> bytes:
    value += padding * (len(value) & 1)
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def encode(
    sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, source_ae_title: str = ""
) -> bytes:
    """Return preamble, prefix and group 0002 in Explicit VR Little Endian; the preamble is all zeros."""
    body = struct.pack("<HH2sHL", 2, 1, b"OB", 0, 2) + b"\0\1"
    for element, uid in ((0x02, sop_class_uid), (0x03, sop_instance_uid), (0x10, transfer_syntax_uid)):
        body += _element(element, b"UI", uid.encode("ascii"), b"\0")
    body += _element(0x12, b"UI", IMPLEMENTATION_CLASS_UID.encode("ascii"), b"\0")
    body += _element(0x13, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii"), b" ")
    if source_ae_title:
        body += _element(0x16, b"AE", source_ae_title.encode("ascii", "replace"), b" ")
    return PREAMBLE + GROUP_LENGTH.pack(2, 0, b"UL", 4, len(body)) + body


def data_set_offset(content: bytes) -> int:
    """Return where the data set begins in a file that we wrote.

    Raises:
        StorageError: it does not begin as our files do.
    """
    start = len(PREAMBLE)
    if content[:start] != PREAMBLE or len(content) < start + GROUP_LENGTH.size:
        raise StorageError("a stored file has lost its head")
    group, element, _, _, length = GROUP_LENGTH.unpack_from(content, start)
    if (group, element) != (2, 0):
        raise StorageError("a stored file has lost its head")
    return start + GROUP_LENGTH.size + length

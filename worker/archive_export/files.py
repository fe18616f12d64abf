"""Reads source files as far as they can be trusted; writes files of nothing but a cleaned data set."""

import io
import struct
from pathlib import Path

from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.errors import HeaderError
from dicom_node.nesting import check_nesting
from dicom_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from model.imaging.elements import MALFORMED, text
from worker.archive_export.elements import tolerant
from worker.errors import UnreadableFileError

_PREFIX_AT = 128
_BARE = (b"\x08\x00", b"\x02\x00")
"""How a data set without preamble begins: group 0008 or 0002 in little endian."""

_LONG = (b"OB", b"UN")


def read_instance(path: Path, *, headers_only: bool = False) -> Dataset | None:
    """Read one file; None for what is not DICOM at all.

    Raises:
        UnreadableFileError: it is nested too deeply, or broken.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise UnreadableFileError(f"a file cannot be read ({exc.strerror})") from exc
    is_part_10 = content[_PREFIX_AT : _PREFIX_AT + 4] == b"DICM"
    if not is_part_10 and content[:2] not in _BARE:
        return None
    try:
        offset, syntax = _data_set(content) if is_part_10 else (0, ImplicitVRLittleEndian)
        check_nesting(memoryview(content)[offset:], syntax)
        with tolerant():
            return dcmread(io.BytesIO(content), force=not is_part_10, stop_before_pixels=headers_only)
    except HeaderError as exc:
        raise UnreadableFileError(str(exc)) from exc
    except (InvalidDicomError, NotImplementedError, OSError, *MALFORMED) as exc:
        raise UnreadableFileError(f"a file cannot be parsed ({type(exc).__name__})") from exc


def _data_set(content: bytes) -> tuple[int, str]:
    """Find where File Meta Information (PS3.10 7.1) ends, and the transfer syntax it names."""
    position, syntax = _PREFIX_AT + 4, str(ImplicitVRLittleEndian)
    while position + 8 <= len(content) and content[position : position + 2] == b"\x02\x00":
        element, vr, length = struct.unpack_from("<H2sH", content, position + 2)
        start = position + 8
        if vr in _LONG:
            length, start = struct.unpack_from("<L", content, start)[0], start + 4
        if element == 0x10:
            syntax = content[start : start + length].decode("ascii", "replace").rstrip("\0 ")
        position = start + length
    return position, syntax


def encoded(ds: Dataset) -> bytes:
    """Encode a cleaned data set as a file with File Meta Information (PS3.10 7.1) of our own."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(text(ds, "SOPClassUID"))
    meta.MediaStorageSOPInstanceUID = UID(text(ds, "SOPInstanceUID"))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    ds.file_meta = meta
    content = io.BytesIO()
    with tolerant():
        dcmwrite(content, ds, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return content.getvalue()


def write_instance(ds: Dataset, path: Path) -> None:
    """Write a cleaned data set; a crash leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(encoded(ds))
    part.replace(path)

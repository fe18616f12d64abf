"""Files that can be sent, and how sending one ended."""

from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from dicom_node.errors import StorageError
from dicom_node.storage import storage_error
from dicom_node.uids import is_uid
from dicom_node.unreadable import UNREADABLE


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """How the sending of one object ended."""

    sop_instance_uid: str
    status: int | None
    """Status of the C-STORE response, or what STOW-RS says of the object; None if nothing was said."""


@dataclass(frozen=True, slots=True)
class Sendable:
    """One file as those who send it see it."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def sendable(path: Path) -> Sendable:
    """Look at a file's meta information, and at its data set where that says too little.

    Raises:
        StorageError: it cannot be read, or is not a DICOM instance that could be sent.
    """
    try:
        ds = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"])
    except OSError as exc:
        raise storage_error(exc) from exc
    except UNREADABLE as exc:
        raise StorageError(f"no DICOM file ({type(exc).__name__})") from exc
    meta = ds.file_meta
    found = Sendable(
        path,
        str(meta.get("MediaStorageSOPClassUID") or ds.get("SOPClassUID") or ""),
        str(meta.get("MediaStorageSOPInstanceUID") or ds.get("SOPInstanceUID") or ""),
        str(meta.get("TransferSyntaxUID") or ""),
    )
    if not all(
        is_uid(uid) for uid in (found.sop_class_uid, found.sop_instance_uid, found.transfer_syntax_uid)
    ):
        raise StorageError(
            "no SOP Class, SOP Instance or Transfer Syntax UID: not an instance that can be sent"
        )
    return found

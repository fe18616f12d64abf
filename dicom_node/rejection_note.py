"""Reads what an archive rejects: a Key Object Selection titled as IHE's IOCM says (RAD TF-3 4.66.4.1.3)."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydicom import dcmread

from dicom_node.uids import is_uid

MOST_BYTES: Final = 16 << 20
"""Of a note; one that names 100,000 objects has about as much."""
_NAMING: Final = frozenset({"IMAGE", "COMPOSITE", "WAVEFORM"})
"""Value types of the items that name objects (PS3.3 C.17.6.2)."""


class Title(StrEnum):
    """Document titles by which objects are not to be used any more (PS3.16 CID 7010)."""

    QUALITY = "113001"
    PATIENT_SAFETY = "113037"
    WRONG_ORDER = "113038"

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS: Final = {
    Title.QUALITY: "Rejected for Quality Reasons",
    Title.PATIENT_SAFETY: "Rejected for Patient Safety Reasons",
    Title.WRONG_ORDER: "Incorrect Modality Worklist Entry",
}


@dataclass(frozen=True, slots=True)
class RejectionNote:
    """What a note rejects, and why."""

    title: Title
    sop_instance_uids: tuple[str, ...]


def read_rejection_note(path: Path) -> RejectionNote | None:
    """Read a Key Object Selection; None if it rejects nothing.

    A retention period that has expired (113039) is nobody's doubt about the images and rejects nothing here.

    Raises:
        OSError, and what pydicom raises (`UNREADABLE`): the file cannot be read.
    """
    ds = dcmread(path)
    codes = {
        str(code.get("CodeValue", ""))
        for code in ds.get("ConceptNameCodeSequence") or ()
        if code.get("CodingSchemeDesignator") == "DCM"
    }
    title = next((title for title in Title if title in codes), None)
    if title is None:
        return None
    named = (
        str(reference.get("ReferencedSOPInstanceUID", ""))
        for item in ds.get("ContentSequence") or ()
        if item.get("ValueType") in _NAMING
        for reference in item.get("ReferencedSOPSequence") or ()
    )
    return RejectionNote(title, tuple(dict.fromkeys(filter(is_uid, named))))

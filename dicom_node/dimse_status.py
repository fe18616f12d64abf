"""The one table from reasons to C-STORE statuses (PS3.4 B.2.3, PS3.7 Annex C)."""

from typing import Final

from dicom_node.study import Reason

SUCCESS: Final = 0x0000
INVALID_ATTRIBUTE_VALUE: Final = 0x0106
PROCESSING_FAILURE: Final = 0x0110
DUPLICATE_INSTANCE: Final = 0x0111
NO_SUCH_INSTANCE: Final = 0x0112
INVALID_ARGUMENT: Final = 0x0115
INVALID_INSTANCE: Final = 0x0117
NO_SUCH_CLASS: Final = 0x0118
MISSING_ATTRIBUTE: Final = 0x0120
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
NO_SUCH_ACTION: Final = 0x0123
OUT_OF_RESOURCES: Final = 0xA700
DATA_SET_MISMATCH: Final = 0xA900
DATA_SET_MISMATCH_WARNING: Final = 0xB007
CANNOT_UNDERSTAND: Final = 0xC000
TRANSFER_SYNTAX_NOT_SUPPORTED: Final = 0xC122
"""Of STOW-RS only (PS3.18 Annex I); C-STORE settles it by negotiation."""

REFUSED_WITH: Final[dict[Reason, int]] = {
    Reason.DISK_FULL: OUT_OF_RESOURCES,
    Reason.STORAGE_FAULT: OUT_OF_RESOURCES,
    Reason.UID_MISMATCH: DATA_SET_MISMATCH,
    Reason.ILLEGAL_UID: DATA_SET_MISMATCH,
    Reason.MISSING_UID: CANNOT_UNDERSTAND,
    Reason.UNREADABLE_HEADER: CANNOT_UNDERSTAND,
    Reason.NESTING: CANNOT_UNDERSTAND,
    Reason.INTERNAL: PROCESSING_FAILURE,
}
"""Status of an instance that is not kept."""

QUARANTINED_WITH: Final[dict[Reason, int]] = {
    Reason.MISSING_UID: DATA_SET_MISMATCH_WARNING,
    Reason.UID_CONFLICT: SUCCESS,
    Reason.PATIENT_MISMATCH: SUCCESS,
    Reason.PIXEL_DATA: SUCCESS,
    Reason.GEOMETRY: SUCCESS,
    Reason.NESTING: SUCCESS,
    Reason.UNREADABLE_HEADER: SUCCESS,
}
"""Status of an instance that is kept in quarantine: the bytes are ours, so the sender need not try again."""


def refused_with(reason: Reason) -> int:
    return REFUSED_WITH.get(reason, PROCESSING_FAILURE)


def quarantined_with(reason: Reason) -> int:
    return QUARANTINED_WITH.get(reason, SUCCESS)


def is_stored(status: int | None) -> bool:
    """Say whether a peer's status means that it has the object: success or a warning."""
    return status is not None and (
        status == SUCCESS or status >> 12 == 0xB or status in (0x0001, 0x0107, 0x0116)
    )

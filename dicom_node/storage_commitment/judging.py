"""Pure rule: for which objects the node commits itself, and why not for others (PS3.3 C.14.1.1)."""

from collections.abc import Mapping
from dataclasses import dataclass

from dicom_node.storage_classes import is_storage_class
from dicom_node.storage_commitment.messages import (
    CLASS_INSTANCE_CONFLICT,
    CLASS_NOT_SUPPORTED,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    Reference,
    Report,
    Request,
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store has under one SOP Instance UID."""

    sop_class_uid: str
    is_whole: bool
    """Whether its file is there with all its bytes."""
    is_doubted: bool
    """Whether it, or another content that came under its UID, is in quarantine, which people may empty."""


def judged(request: Request, kept: Mapping[str, Kept]) -> Report:
    """Report on a request, given what is kept by SOP Instance UID."""
    reasons = [(each, why_not(each, kept.get(each.sop_instance_uid))) for each in request.references]
    return Report(
        request.transaction_uid,
        tuple(reference for reference, reason in reasons if reason is None),
        tuple((reference, reason) for reference, reason in reasons if reason is not None),
    )


def why_not(reference: Reference, kept: Kept | None) -> int | None:
    """Return the Failure Reason of one object; None if the node commits itself to it."""
    if not is_storage_class(reference.sop_class_uid):
        return CLASS_NOT_SUPPORTED
    if kept is None:
        return NO_SUCH_INSTANCE
    if kept.sop_class_uid != reference.sop_class_uid:
        return CLASS_INSTANCE_CONFLICT
    return None if kept.is_whole and not kept.is_doubted else PROCESSING_FAILURE

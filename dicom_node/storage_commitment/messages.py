"""Data sets of the Storage Commitment Push Model (PS3.4 J.3), written and read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pydicom import Dataset

from dicom_node.errors import IdentityError
from dicom_node.study import Reason
from dicom_node.uids import is_uid

STORAGE_COMMITMENT: Final = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model SOP Class."""
WELL_KNOWN_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
REQUEST: Final = 1
"""Action Type ID (PS3.4 J.3.2.1)."""
ALL_COMMITTED, FAILURES_EXIST = 1, 2
"""Event Type IDs (PS3.4 J.3.3.1)."""

PROCESSING_FAILURE: Final = 0x0110
NO_SUCH_INSTANCE: Final = 0x0112
CLASS_INSTANCE_CONFLICT: Final = 0x0119
CLASS_NOT_SUPPORTED: Final = 0x0122
DUPLICATE_TRANSACTION: Final = 0x0131
RESOURCE_LIMITATION: Final = 0x0213
FAILURE_REASONS: Final = {
    PROCESSING_FAILURE: "processing failure",
    NO_SUCH_INSTANCE: "no such object instance",
    CLASS_INSTANCE_CONFLICT: "class and instance conflict",
    CLASS_NOT_SUPPORTED: "referenced SOP class not supported",
    DUPLICATE_TRANSACTION: "duplicate Transaction UID",
    RESOURCE_LIMITATION: "resource limitation",
}
"""Failure Reason (PS3.3 C.14.1.1)."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One object, as a request or a report names it."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants commitment for."""

    transaction_uid: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a request."""

    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...]
    """With the Failure Reason of each."""


def written_request(request: Request) -> Dataset:
    """Return the Action Information of an N-ACTION (PS3.4 table J.3-1)."""
    ds = Dataset()
    ds.TransactionUID = request.transaction_uid
    ds.ReferencedSOPSequence = _items(request.references)
    return ds


def written_report(report: Report) -> tuple[int, Dataset]:
    """Return Event Type ID and Event Information of an N-EVENT-REPORT (PS3.4 table J.3-2)."""
    ds = Dataset()
    ds.TransactionUID = report.transaction_uid
    if report.committed:
        ds.ReferencedSOPSequence = _items(report.committed)
    if report.failed:
        ds.FailedSOPSequence = _items(reference for reference, _ in report.failed)
        for item, (_, reason) in zip(ds.FailedSOPSequence, report.failed, strict=True):
            item.FailureReason = reason
    return (FAILURES_EXIST if report.failed else ALL_COMMITTED), ds


def read_request(ds: Dataset) -> Request:
    """Read the Action Information of an N-ACTION.

    Raises:
        IdentityError: an identifier is missing or is no UID, or nothing is named.
    """
    references = _references(ds.get("ReferencedSOPSequence"))
    if not references:
        raise IdentityError("the request names no object", Reason.MISSING_UID)
    return Request(_transaction(ds), references)


def read_report(ds: Dataset) -> Report:
    """Read the Event Information of an N-EVENT-REPORT.

    Raises:
        IdentityError: an identifier is missing or is no UID.
    """
    failed = ds.get("FailedSOPSequence") or ()
    reasons = [int(item.get("FailureReason") or PROCESSING_FAILURE) for item in failed]
    return Report(
        _transaction(ds),
        _references(ds.get("ReferencedSOPSequence")),
        tuple(zip(_references(failed), reasons, strict=True)),
    )


def _transaction(ds: Dataset) -> str:
    uid = str(ds.get("TransactionUID") or "")
    if not is_uid(uid):
        raise IdentityError("the Transaction UID is missing or no UID", Reason.ILLEGAL_UID)
    return uid


def _items(references: Iterable[Reference]) -> list[Dataset]:
    items: list[Dataset] = []
    for reference in references:
        item = Dataset()
        item.ReferencedSOPClassUID = reference.sop_class_uid
        item.ReferencedSOPInstanceUID = reference.sop_instance_uid
        items.append(item)
    return items


def _references(sequence: Sequence[Dataset] | None) -> tuple[Reference, ...]:
    references = tuple(
        Reference(
            str(item.get("ReferencedSOPClassUID") or ""), str(item.get("ReferencedSOPInstanceUID") or "")
        )
        for item in sequence or ()
    )
    if not all(is_uid(each.sop_class_uid) and is_uid(each.sop_instance_uid) for each in references):
        raise IdentityError("a reference names no UID", Reason.ILLEGAL_UID)
    return references

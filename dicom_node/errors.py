"""Errors of `dicom_node`.

NodeError
├── SettingsError         the configuration cannot be used; says which key and what to write instead
├── StorageError          bytes could not be made durable or are not what was stored
│   ├── DamagedError      a stored file is gone or altered
│   ├── DiskFullError     no space left
│   ├── IndexAwayError    the index does not answer: locked, full, or not there
│   └── IndexDamagedError the index cannot be trusted; says what to do
├── HeaderError           a data set's header cannot be read far enough to file it
├── IdentityError         command, file meta and data set disagree, or an identifier is missing or illegal
├── LeaseError            the job belongs to another worker now
├── DecisionError         a person decided otherwise before, or there is nothing to decide
├── AlreadyServedError    another process serves this data folder
├── ProtocolError         a peer breaks PS3.7 or PS3.8: its association is aborted
├── RequestError          a request by HTTP cannot be met; has the status of the answer
└── PeerError             another system did not do what was asked of it
    ├── UnreachableError  no association: not there, refused or timed out
    └── RefusedError      it answered with a failure status
"""

from collections.abc import Mapping
from enum import StrEnum

from dicom_node.study import Reason


class NodeError(Exception):
    """Something in `dicom_node` could not be done; `str(error)` never holds patient data."""


class SettingsError(NodeError):
    """The configuration cannot be used."""


class StorageError(NodeError):
    """Bytes could not be made durable or are not what was stored."""

    def __init__(self, message: str, reason: Reason = Reason.STORAGE_FAULT) -> None:
        super().__init__(message)
        self.reason = reason


class DamagedError(StorageError):
    """A stored file is gone or altered: it has to be sent again."""


class DiskFullError(StorageError):
    """No space is left where instances are kept."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Reason.DISK_FULL)


class IndexAwayError(StorageError):
    """The index does not answer: another one holds it, its disk is full, or it is not there."""


class IndexDamagedError(StorageError):
    """The index is damaged, empty or gone; the message says what to do."""


class HeaderError(NodeError):
    """A data set's header cannot be read far enough to file it."""

    def __init__(self, message: str, reason: Reason = Reason.UNREADABLE_HEADER) -> None:
        super().__init__(message)
        self.reason = reason


class IdentityError(NodeError):
    """Command, file meta and data set disagree, or an identifier is missing or illegal."""

    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason


class LeaseError(NodeError):
    """The job belongs to another worker now."""


class DecisionError(NodeError):
    """A person decided otherwise before, or there is nothing to decide."""


class AlreadyServedError(NodeError):
    """Another process serves this data folder."""


class ProtocolError(NodeError):
    """A peer breaks PS3.7 or PS3.8: its association is aborted."""


class RequestError(NodeError):
    """A request by HTTP cannot be met."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


class PeerError(NodeError):
    """Another system did not do what was asked of it."""


class Absence(StrEnum):
    """How a peer failed to be there."""

    NO_CONNECTION = "no connection"
    SILENT = "connected, but no answer in DICOM"
    CALLING_AE_UNKNOWN = "calling AE title not recognized (PS3.8 9.3.4)"
    CALLED_AE_UNKNOWN = "called AE title not recognized (PS3.8 9.3.4)"
    REJECTED = "rejected for another reason"
    NO_TLS = "no TLS handshake"
    NO_CONTEXT = "none of the presentation contexts accepted"


class UnreachableError(PeerError):
    """No association: the peer is not there, refused it or timed out."""

    def __init__(self, message: str, absence: Absence = Absence.SILENT) -> None:
        super().__init__(message)
        self.absence = absence


class RefusedError(PeerError):
    """The peer answered with a failure status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(f"{message} (DIMSE status 0x{status:04X})")
        self.status = status

"""STOW-RS (PS3.18 10.5): the parts of one request go to the intake, one after the other, as they come."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from dicom_node.admission import Disposition, StoreCommand
from dicom_node.dimse_status import (
    CANNOT_UNDERSTAND,
    OUT_OF_RESOURCES,
    SOP_CLASS_NOT_SUPPORTED,
    TRANSFER_SYNTAX_NOT_SUPPORTED,
    is_stored,
)
from dicom_node.errors import HeaderError, StorageError
from dicom_node.file_meta import FileMeta, end_of_meta, read_meta
from dicom_node.intake import Intake, Outcome, Reception
from dicom_node.media_type import media_type
from dicom_node.storage_classes import TRANSFER_SYNTAXES, is_storage_class
from dicom_node.study import Reason
from dicom_node.uids import is_uid, sanitized
from dicom_node.web.multipart import Event, MultipartReader, PartBegins, PartContent

logger = logging.getLogger(__name__)

DICOM: Final = "application/dicom"
KEEP_OPEN_EVERY_S: Final = 2.0

KeepOpen = Callable[[set[str]], None]
"""Tells that more of some studies is still on its way."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, and what the request says of all its instances."""

    name: str
    study_instance_uid: str
    """The study to which all must belong; empty if the request names none."""
    max_instance_bytes: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of one part."""

    status: int
    """As C-STORE would have answered, or a failure reason of PS3.18 Annex I."""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    is_in_use: bool = False
    """Whether it can be retrieved: kept, and not in quarantine."""

    @property
    def is_stored(self) -> bool:
        return is_stored(self.status)


class Submission:
    """One request. Each instance is durable before the next one is looked at; a bad one costs only itself."""

    def __init__(self, intake: Intake, boundary: str, sender: Sender, keep_open: KeepOpen) -> None:
        self._intake = intake
        self._reader = MultipartReader(boundary)
        self._sender = sender
        self._keep_open = keep_open
        self._part: _Part | None = None
        self._studies: set[str] = set()
        self._kept_open_at = time.monotonic()
        self.stored: list[Stored] = []

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body; may wait for the disk."""
        for event in self._reader.feed(chunk):
            self._take(event)
        if self._studies and time.monotonic() - self._kept_open_at > KEEP_OPEN_EVERY_S:
            self._kept_open_at = time.monotonic()
            with suppress(StorageError):  # a hint: what comes is not to be lost for want of it
                self._keep_open(self._studies)

    def finish(self) -> None:
        """End the body; an instance that is not whole is not stored."""
        for event in self._reader.finish():
            self._take(event)

    @property
    def has_stored(self) -> bool:
        return any(each.is_stored for each in self.stored)

    def _take(self, event: Event) -> None:
        if isinstance(event, PartBegins):
            self._part = _Part(self._intake, self._sender, event.content_type)
        elif self._part is not None and isinstance(event, PartContent):
            self._part.write(event.content)
        elif self._part is not None and not isinstance(event, PartContent):
            part, self._part = self._part, None
            stored = part.finish() if event.is_whole else part.broken_off()
            self.stored.append(stored)
            if stored.is_in_use:
                self._studies.add(stored.study_instance_uid)


class _Part:
    """One DICOM file (PS3.10) on its way in."""

    def __init__(self, intake: Intake, sender: Sender, content_type: str | None) -> None:
        self._intake = intake
        self._sender = sender
        self._head = b""
        self._meta: FileMeta | None = None
        self._reception: Reception | None = None
        self._size = 0
        self._failure: int | None = None
        if content_type is None or media_type(content_type).name not in ("", DICOM):
            self._fail(CANNOT_UNDERSTAND, "a part is no application/dicom")

    def write(self, content: bytes) -> None:
        self._size += len(content)
        if self._failure is not None:
            return
        if self._size > self._sender.max_instance_bytes:
            self._fail(OUT_OF_RESOURCES, "an instance is larger than max_instance_bytes")
        elif self._reception is not None:
            self._reception.write(content)
        else:
            self._head += content
            self._begin()

    def _begin(self) -> None:
        try:
            end = end_of_meta(self._head)
            if end is None:
                return
            self._meta = read_meta(self._head[:end])
        except HeaderError as exc:
            self._fail(CANNOT_UNDERSTAND, str(exc))
            return
        command = self._command(self._meta)
        if is_uid(command.sop_class_uid) and not is_storage_class(command.sop_class_uid):
            self._fail(SOP_CLASS_NOT_SUPPORTED, "no storage class")
        elif command.transfer_syntax_uid not in TRANSFER_SYNTAXES:
            self._fail(TRANSFER_SYNTAX_NOT_SUPPORTED, "unknown transfer syntax")
        else:
            self._reception = self._intake.begin(command)
            self._reception.write(self._head[end:])
        self._head = b""

    def _command(self, meta: FileMeta) -> StoreCommand:
        return StoreCommand(
            sop_class_uid=meta.sop_class_uid,
            sop_instance_uid=meta.sop_instance_uid,
            transfer_syntax_uid=meta.transfer_syntax_uid,
            calling_ae_title=self._sender.name,
            study_instance_uid=self._sender.study_instance_uid,
        )

    def _fail(self, status: int, why: str) -> None:
        self._failure = status
        self._head = b""
        self.abort()
        if status == CANNOT_UNDERSTAND:
            command = self._command(self._meta or FileMeta("", "", ""))
            self._intake.refuse(command, None, HeaderError(why), Reason.UNREADABLE_HEADER)
        else:
            logger.warning("part not stored", extra={"why": why, "status": f"0x{status:04X}"})

    def abort(self) -> None:
        if self._reception is not None:
            self._reception.abort()
            self._reception = None

    def broken_off(self) -> Stored:
        self._fail(CANNOT_UNDERSTAND, "the request ended within a part")
        return self._answer(CANNOT_UNDERSTAND)

    def finish(self) -> Stored:
        if self._failure is None and self._reception is None:
            self._fail(CANNOT_UNDERSTAND, "no DICOM file")
        if self._failure is not None or self._reception is None:
            return self._answer(self._failure or CANNOT_UNDERSTAND)
        outcome = self._reception.finish()
        return self._answer(outcome.status, outcome)

    def _answer(self, status: int, outcome: Outcome | None = None) -> Stored:
        meta = self._meta
        return Stored(
            status=status,
            sop_class_uid="" if meta is None else sanitized(meta.sop_class_uid),
            sop_instance_uid="" if meta is None else sanitized(meta.sop_instance_uid),
            study_instance_uid="" if outcome is None else outcome.study_instance_uid,
            series_instance_uid="" if outcome is None else outcome.series_instance_uid,
            is_in_use=outcome is not None
            and (outcome.disposition is Disposition.KEPT or outcome.reason is Reason.DUPLICATE),
        )


def http_status(stored: list[Stored]) -> HTTPStatus:
    """Return the status of the answer to a request with at least one part (PS3.18 Table 10.5.3-1)."""
    if all(each.status == 0 for each in stored):
        return HTTPStatus.OK
    if any(each.is_stored for each in stored):
        return HTTPStatus.ACCEPTED
    if all(each.status >> 8 == OUT_OF_RESOURCES >> 8 for each in stored):
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.CONFLICT

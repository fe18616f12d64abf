"""Sends files by STOW-RS (PS3.18 10.5), one in a request, so that each has an answer of its own."""

import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

import httpx
from pydicom import Dataset

from dicom_node.dimse_status import PROCESSING_FAILURE, SUCCESS
from dicom_node.errors import Absence, SettingsError, UnreachableError
from dicom_node.priors.web import connected
from dicom_node.sendable import Sendable, SendOutcome
from dicom_node.settings import WebPeer
from dicom_node.storage import storage_error

logger = logging.getLogger(__name__)

JSON: Final = "application/dicom+json"
BLOCK: Final = 1 << 18
"""Bytes read from a file at a time."""
NOT_LET_IN: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
NO_SERVICE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
COME_AGAIN: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
"""Answers after which the same request may succeed, like all from 500 on."""


def send_by_web(peer: WebPeer, files: Sequence[Sendable]) -> Iterator[SendOutcome]:
    """Send files in order; one that gets no answer has no status, and those after it are not tried.

    Raises:
        UnreachableError: the server is not there, or does not let us in.
    """
    with _let_in(peer) as client:
        for number, file in enumerate(files):
            try:
                status = _status(peer, _post(client, file), file.sop_instance_uid)
            except httpx.HTTPError as exc:
                if not number:
                    raise
                logger.warning("no answer to an object", extra={"error": type(exc).__name__})
                yield SendOutcome(file.sop_instance_uid, None)
                return
            yield SendOutcome(file.sop_instance_uid, status)


@contextmanager
def _let_in(peer: WebPeer) -> Generator[httpx.Client, None, None]:
    """Hold a client; a file of ours that is missing is mended by a person, so the objects wait."""
    try:
        with connected(peer) as client:
            yield client
    except SettingsError as exc:
        raise UnreachableError(str(exc), Absence.REJECTED) from exc


def _post(client: httpx.Client, file: Sendable) -> httpx.Response:
    boundary = uuid4().hex
    # Without the transfer syntax, which the file has itself: Orthanc takes no parameters here.
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
    tail = f"\r\n--{boundary}--\r\n".encode("ascii")
    headers = {
        "Accept": JSON,
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Content-Length": str(len(head) + _size(file) + len(tail)),
    }
    return client.post("studies", content=_body(head, file, tail), headers=headers)


def _size(file: Sendable) -> int:
    try:
        return file.path.stat().st_size
    except OSError as exc:
        raise storage_error(exc) from exc


def _body(head: bytes, file: Sendable, tail: bytes) -> Iterator[bytes]:
    yield head
    try:
        with file.path.open("rb") as opened:
            while block := opened.read(BLOCK):
                yield block
    except OSError as exc:
        raise storage_error(exc) from exc
    yield tail


def _status(peer: WebPeer, response: httpx.Response, sop_instance_uid: str) -> int | None:
    """Translate the answer to one object into a status of C-STORE; None where another try may succeed."""
    code = response.status_code
    if code in NOT_LET_IN:
        raise UnreachableError(f"{peer.name} does not let us in (HTTP status {code})", Absence.REJECTED)
    if code in NO_SERVICE or 300 <= code < 400:
        raise UnreachableError(
            f"{peer.name} has no STOW-RS at its url (HTTP status {code})", Absence.REJECTED
        )
    said = _said(response, sop_instance_uid)
    if said is not None:
        return said
    if code == HTTPStatus.OK and not response.content:
        return SUCCESS  # with a body that does not name the object it was not stored: Orthanc answers so
    is_final = 400 <= code < 500 and code not in COME_AGAIN
    return PROCESSING_FAILURE if is_final else None


def _said(response: httpx.Response, sop_instance_uid: str) -> int | None:
    """Find what the Store Instances Response (PS3.18 Annex I.2) says of one object."""
    try:
        answer: Any = response.json()
        ds = Dataset.from_json(answer[0] if isinstance(answer, list) else answer)
        for name, reason in (
            ("FailedSOPSequence", "FailureReason"),
            ("ReferencedSOPSequence", "WarningReason"),
        ):
            for item in ds.get(name) or ():
                if item.get("ReferencedSOPInstanceUID") == sop_instance_uid:
                    default = PROCESSING_FAILURE if reason == "FailureReason" else SUCCESS
                    return int(item.get(reason) or default)
        for item in ds.get("OtherFailuresSequence") or ():
            return int(item.get("FailureReason") or PROCESSING_FAILURE)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        logger.warning("an answer to STOW-RS cannot be read", extra={"status": response.status_code})
    return None

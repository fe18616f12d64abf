"""WADO-RS (PS3.18 10.4): instances in parts, as they are stored or in Explicit VR Little Endian."""

import logging
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from io import BytesIO
from typing import Final
from uuid import uuid4

import numpy as np
from anyio.to_thread import run_sync
from pydicom import DataElement, Dataset, dcmwrite
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from dicom_node.database.catalogue import Narrowing
from dicom_node.digest import Digest
from dicom_node.errors import RequestError, StorageError
from dicom_node.file_meta import data_set_offset
from dicom_node.storage import InstanceStore, storage_error
from dicom_node.study import Instance
from dicom_node.unreadable import UNREADABLE
from dicom_node.web.negotiation import (
    DICOM,
    EXPLICIT,
    MULTIPART,
    NATIVE,
    acceptable_syntaxes,
    goes_as_stored,
    goes_decoded,
)
from dicom_node.web.service import Place, Service, place_of

logger = logging.getLogger(__name__)

BYTES_OF_A_WORD: Final = {"OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2}
BLOCK: Final = 1 << 18
"""Bytes sent at a time."""

Part = tuple[str, Iterable[bytes]]
"""Content type and content."""


async def retrieve(service: Service, request: Request, caller: str) -> Response:
    """Send all instances of a study or series, or one."""
    syntaxes = acceptable_syntaxes(request)
    instances = await instances_of(service, place_of(request.path_params))
    sent: list[tuple[Instance, bool]] = []
    for instance in instances:
        stored = instance.transfer_syntax_uid
        if goes_as_stored(stored, syntaxes):
            sent.append((instance, True))
        elif goes_decoded(stored, syntaxes):
            sent.append((instance, False))
    if not sent:
        raise RequestError(
            HTTPStatus.NOT_ACCEPTABLE, "no instance can be sent in a transfer syntax that is accepted"
        )
    parts = (_part(service, instance, as_stored=as_stored) for instance, as_stored in sent)
    return in_parts(
        parts, DICOM, HTTPStatus.OK if len(sent) == len(instances) else HTTPStatus.PARTIAL_CONTENT
    )


async def instances_of(service: Service, place: Place) -> list[Instance]:
    """Return the instances at a place.

    Raises:
        RequestError: 404 if there are none.
    """
    narrowing = Narrowing(
        studies=(place.study,),
        series=(place.series,) if place.series else (),
        instances=(place.instance,) if place.instance else (),
    )
    found = await run_sync(service.database.catalogue.instances, narrowing)
    if not found:
        raise RequestError(HTTPStatus.NOT_FOUND, "there is no such instance here")
    return found


def in_parts(parts: Iterable[Part], kind: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Answer with several parts of one media type, made while they are sent."""
    boundary = uuid4().hex
    content_type = f'{MULTIPART}; type="{kind}"; boundary={boundary}'
    return StreamingResponse(_body(parts, boundary), status, media_type=content_type)


def _body(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    for content_type, content in parts:
        yield f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode("ascii")
        yield from content
    yield f"\r\n--{boundary}--\r\n".encode("ascii")


def _part(service: Service, instance: Instance, *, as_stored: bool) -> Part:
    stored = f"{DICOM}; transfer-syntax={instance.transfer_syntax_uid}"
    if as_stored:
        return stored, stored_file(instance)
    try:
        with service.decoding:
            content = decoded_file(service.store, instance)
    except (StorageError, *UNREADABLE) as exc:
        # Its neighbours are not to go without their end; what it is stands in its head.
        logger.warning("sent as stored: cannot be decoded", extra={"error": type(exc).__name__})
        return stored, stored_file(instance)
    return f"{DICOM}; transfer-syntax={EXPLICIT}", (content,)


def stored_file(instance: Instance) -> Iterator[bytes]:
    """Yield a file as it is stored, its end only if all of it is what was received.

    Raises:
        StorageError: it is gone or altered; who reads it must not take what came for a whole file.
    """
    digest = Digest(instance.digest)
    try:
        with instance.path.open("rb") as file:
            block = file.read(BLOCK)
            digest.update(memoryview(block)[data_set_offset(block) :])
            while following := file.read(BLOCK):
                yield block
                digest.update(following)
                block = following
    except OSError as exc:
        raise storage_error(exc) from exc
    if digest.text() != instance.digest:
        raise StorageError("a stored instance is not what was received")
    yield block


def decoded_file(store: InstanceStore, instance: Instance) -> bytes:
    """Return an instance as a file in Explicit VR Little Endian, under the same UIDs.

    Raises:
        StorageError: it cannot be read.
        Exception: one of UNREADABLE if its pixels cannot be decoded.
    """
    ds = store.read(instance)
    if instance.transfer_syntax_uid == ExplicitVRBigEndian:
        ds.walk(_turn)
    if instance.transfer_syntax_uid in NATIVE:
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    else:
        ds.decompress(generate_instance_uid=False)
    out = BytesIO()
    dcmwrite(out, ds, implicit_vr=False, little_endian=True)
    return out.getvalue()


def _turn(ds: Dataset, element: DataElement) -> None:
    """Turn the bytes of a value that the parser leaves as it is encoded (PS3.5 7.3)."""
    if element.VR in BYTES_OF_A_WORD and element.value:
        element.value = turned(element.value, str(element.VR))


def turned(value: bytes, vr: str) -> bytes:
    """Return a value of words with the bytes of each word the other way round."""
    return np.frombuffer(value, f"u{BYTES_OF_A_WORD[vr]}").byteswap().tobytes()

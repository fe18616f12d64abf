"""The Store transaction over HTTP (PS3.18 10.5): checked before its body is read, then read within limits."""

from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus

import anyio
from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from dicom_node.errors import RequestError
from dicom_node.media_type import accepted, media_type
from dicom_node.web.multipart import is_boundary
from dicom_node.web.service import JSON, Service, place_of
from dicom_node.web.store import DICOM, Sender, Submission, http_status
from dicom_node.web.store_response import store_response

RETRY_AFTER_S = 60


async def store(service: Service, request: Request, caller: str) -> Response:
    """Take the instances of one request and say of each what became of it."""
    _check_accept(request)
    boundary = _boundary(request)
    sender = Sender(caller, place_of(request.path_params).study, service.settings.max_instance_bytes)
    submission = Submission(service.intake, boundary, sender, service.database.studies.keep_open)
    fault = RequestError(HTTPStatus.BAD_REQUEST, "the body holds no part")
    try:
        async for chunk in _body(service, request):
            await run_sync(submission.feed, chunk)
    except RequestError as exc:
        # What came before is stored, and its sender is told so.
        fault = exc
    finally:
        await run_sync(submission.finish)
    if not submission.stored or (fault.status != HTTPStatus.BAD_REQUEST and not submission.has_stored):
        raise fault
    status = http_status(submission.stored)
    return JSONResponse(
        store_response(submission.stored, partial(service.url, request)),
        status,
        media_type=JSON,
        headers={"Retry-After": str(RETRY_AFTER_S)} if status is HTTPStatus.SERVICE_UNAVAILABLE else None,
    )


def _check_accept(request: Request) -> None:
    wanted = accepted(request.headers.get("Accept", "*/*"))
    if wanted and not any(each.covers(JSON) or each.covers("application/json") for each in wanted):
        raise RequestError(HTTPStatus.NOT_ACCEPTABLE, f"the answer is {JSON}")


def _boundary(request: Request) -> str:
    """Check the type of the body and return what separates its parts."""
    kind = media_type(request.headers.get("Content-Type", ""))
    if kind.name != "multipart/related" or kind.parameters.get("type", DICOM).lower() != DICOM:
        raise RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f'send multipart/related; type="{DICOM}"')
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body without Content-Encoding")
    boundary = kind.parameters.get("boundary", "")
    if not is_boundary(boundary):
        raise RequestError(HTTPStatus.BAD_REQUEST, "the Content-Type names no boundary")
    return boundary


async def _body(service: Service, request: Request) -> AsyncIterator[bytes]:
    """Yield the body; a client that goes away ends it.

    Raises:
        RequestError: 413 if it is too large, 408 if it stops coming.
    """
    most = service.settings.max_request_bytes
    too_large = RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is larger than max_request_bytes")
    if int(request.headers.get("Content-Length", "0")) > most:
        raise too_large
    chunks = aiter(request.stream())
    received = 0
    while True:
        try:
            with anyio.fail_after(service.settings.timeout_s):
                chunk = await anext(chunks)
        except (StopAsyncIteration, ClientDisconnect):
            return
        except TimeoutError:
            raise RequestError(HTTPStatus.REQUEST_TIMEOUT, "the body does not come") from None
        yield chunk[: most - received]
        received += len(chunk)
        if received > most:
            raise too_large

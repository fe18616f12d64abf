"""The DICOMweb server as an ASGI application: every route, who may use it, and how errors are answered."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Final

import anyio
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from dicom_node.access_token import Scope
from dicom_node.database.catalogue import Level
from dicom_node.errors import NodeError, RequestError
from dicom_node.web.access import Claim, Gate
from dicom_node.web.frames import frames
from dicom_node.web.metadata import bulk_data, metadata
from dicom_node.web.rendered import rendered
from dicom_node.web.retrieve import retrieve
from dicom_node.web.search import search
from dicom_node.web.service import ROOT, Service
from dicom_node.web.store_request import store

logger = logging.getLogger(__name__)

Endpoint = Callable[[Service, Request, str], Awaitable[Response]]
"""Answers a request of a caller, by name."""

_STUDY = "/studies/{study}"
_SERIES = f"{_STUDY}/series/{{series}}"
_INSTANCE = f"{_SERIES}/instances/{{instance}}"
_FRAMES = f"{_INSTANCE}/frames/{{frames}}"
_PLACES = (_STUDY, _SERIES, _INSTANCE)

TRANSACTIONS: Final[tuple[tuple[str, str, Scope, Endpoint], ...]] = (
    ("POST", "/studies", Scope.STORE, store),
    ("POST", _STUDY, Scope.STORE, store),
    ("GET", "/studies", Scope.READ, partial(search, Level.STUDY)),
    ("GET", "/series", Scope.READ, partial(search, Level.SERIES)),
    ("GET", "/instances", Scope.READ, partial(search, Level.INSTANCE)),
    ("GET", f"{_STUDY}/series", Scope.READ, partial(search, Level.SERIES)),
    ("GET", f"{_STUDY}/instances", Scope.READ, partial(search, Level.INSTANCE)),
    ("GET", f"{_SERIES}/instances", Scope.READ, partial(search, Level.INSTANCE)),
    *(("GET", place, Scope.READ, retrieve) for place in _PLACES),
    *(("GET", f"{place}/metadata", Scope.READ, metadata) for place in _PLACES),
    *(("GET", f"{place}/rendered", Scope.READ, rendered) for place in (_INSTANCE, _FRAMES)),
    ("GET", _FRAMES, Scope.READ, frames),
    ("GET", f"{_INSTANCE}/bulkdata/{{path:path}}", Scope.READ, bulk_data),
)
"""Method, path, what a token must allow, and what answers."""


def application(service: Service, gate: Gate) -> ASGIApp:
    """Build the application."""
    routes = [
        Route(ROOT + path, partial(_answer, service, gate, scope, endpoint), methods=[method])
        for method, path, scope, endpoint in TRANSACTIONS
    ]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(service.settings.allowed_origins),
        allow_methods=["GET", "POST"],
        allow_headers=["Accept", "Authorization", "Content-Type"],
        expose_headers=["Warning"],
    )
    starlette = Starlette(
        routes=[Route("/healthz", _alive), *routes],
        middleware=[cors] if service.settings.allowed_origins else [],
        exception_handlers={RequestError: _request_error, NodeError: _node_error},
    )
    starlette.router.redirect_slashes = False
    return _Patience(starlette, service.settings.timeout_s)


async def _answer(
    service: Service, gate: Gate, scope: Scope, endpoint: Endpoint, request: Request
) -> Response:
    claim = Claim(
        "" if request.client is None else request.client.host,
        request.headers.get("Host", ""),
        request.headers.get("Authorization"),
    )
    return await endpoint(service, request, await run_sync(gate.admit, claim, scope))


async def _alive(request: Request) -> Response:
    """Say that there is a server, to anybody, and nothing else."""
    return PlainTextResponse("ok\n")


async def _request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)  # noqa: S101 - registered for it
    return PlainTextResponse(f"{error}\n", error.status, error.headers)


async def _node_error(request: Request, error: Exception) -> Response:
    logger.error("request failed", extra={"error": type(error).__name__, "why": str(error)})
    return PlainTextResponse("the node cannot answer now; its log says why\n", HTTPStatus.SERVICE_UNAVAILABLE)


class _Patience:
    """Gives up on a client that does not take its answer."""

    def __init__(self, app: ASGIApp, timeout_s: float) -> None:
        self._app = app
        self._timeout_s = timeout_s

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            with anyio.fail_after(self._timeout_s):
                await send(message)

        await self._app(connection, receive, send_in_time)

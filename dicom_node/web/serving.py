"""The process of `medversa-node web`: the DICOMweb server on the store and the index that the node uses."""

import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

import uvicorn

from dicom_node.database.engine import open_database
from dicom_node.errors import NodeError, SettingsError
from dicom_node.intake import Intake
from dicom_node.settings import NodeSettings
from dicom_node.storage import InstanceStore
from dicom_node.web.access import Gate, is_loopback
from dicom_node.web.application import application
from dicom_node.web.connection import MOST_HEAD, BoundedConnection, BoundedConnectionOfProxy
from dicom_node.web.service import Service
from dicom_node.web.settings import Web

logger = logging.getLogger(__name__)

CIPHERS: Final = "ECDHE+AESGCM:@SECLEVEL=2"
"""Of TLS 1.2; all suites of TLS 1.3 are as good (PS3.15 B.12)."""
KEEP_ALIVE_S: Final = 10
STOP_PATIENCE_S: Final = 20


class WebService:
    """Everything that `medversa-node web` runs; beside the node or alone, once or several times."""

    def __init__(self, settings: NodeSettings) -> None:
        """Open store and index and take the port.

        Raises:
            SettingsError: it would let in people from elsewhere without tokens or without TLS.
            NodeError: the port is taken or the address is not ours.
        """
        web = settings.web
        settings.node.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._database = open_database(settings.node.database_url)
        self._store = InstanceStore(settings.node.data_dir, self._database)
        intake = Intake(self._store, self._database, settings.node.min_free_bytes)
        _check_exposure(web, has_tokens=bool(self._database.tokens.all()))
        gate = Gate(self._database.tokens, self._database.connections.now)
        app = application(Service(web, self._database, self._store, intake), gate)
        self._socket = _listening(web)
        config = uvicorn.Config(
            app,
            http=BoundedConnectionOfProxy if web.is_behind_proxy else BoundedConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=web.max_connections,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_PATIENCE_S,
            h11_max_incomplete_event_size=MOST_HEAD,
            ssl_context_factory=_context_factory(web),
        )
        self._server = uvicorn.Server(config)

    @property
    def is_serving(self) -> bool:
        return self._server.started

    def run(self) -> None:
        """Serve until `stop`; everything answered with success before that is kept."""
        logger.info("DICOMweb server listening", extra={"port": self._socket.getsockname()[1]})
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()
            self._store.spool.close()
            self._database.close()

    def stop(self) -> None:
        self._server.should_exit = True


def _check_exposure(web: Web, *, has_tokens: bool) -> None:
    if is_loopback(web.host):
        return
    if not has_tokens:
        raise SettingsError(
            f"web.host {web.host} can be reached from elsewhere: make a token first, by "
            "`medversa-node tokens make`"
        )
    if web.certificate_file is None and not web.is_behind_proxy:
        raise SettingsError(
            f"web.host {web.host} can be reached from elsewhere: set web.certificate_file and web.key_file, "
            "or web.is_behind_proxy if a proxy speaks TLS"
        )


def _listening(web: Web) -> socket.socket:
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    try:
        return socket.create_server((web.host, web.port), family=family)
    except OSError as exc:
        raise NodeError(f"cannot listen on {web.host} port {web.port}: {exc.strerror}") from exc


def _context_factory(web: Web) -> Callable[..., ssl.SSLContext] | None:
    """Return what makes the TLS context, made once to tell wrong files before anybody connects."""
    if web.certificate_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(web.certificate_file, web.key_file, password=_no_password)
        if web.client_ca_file is not None:
            context.load_verify_locations(web.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as exc:
        raise SettingsError(
            f"web: certificate, key or client_ca_file cannot be used ({exc.strerror})"
        ) from exc
    return lambda *_: context


def _no_password() -> str:
    """Called for an encrypted key; without it OpenSSL would ask on the terminal."""
    raise SettingsError("web: key_file is encrypted; remove its password and protect the file")

"""Accepts connections: few enough per peer, each with its guarded socket and streaming association."""

import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from socketserver import BaseServer
from typing import Any, Final, cast

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from dicom_node.upper_layer.association import AcceptedAssociation, StoreBeginner
from dicom_node.upper_layer.guarded_socket import GuardedSocket

logger = logging.getLogger(__name__)

BACKLOG: Final = 128
POLITE_EXTRA: Final = 8
"""Connections beyond the limit of associations that are still told so instead of being cut off."""
RECEIVE_BUFFER_BYTES: Final = 1 << 20


class _Handler(RequestHandler):
    """Makes the association of one connection."""

    def handle(self) -> None:
        is_begun = False
        try:
            super().handle()
            is_begun = True
        finally:
            if not is_begun:
                cast(Listener, self.server).disconnected(self.client_address[0])

    def _create_association(self) -> Association:
        server = cast(Listener, self.server)  # nobody else makes this handler
        assoc = AcceptedAssociation(self.ae, server.begin_on, partial(server.ended, self.client_address[0]))
        assoc._server = server  # pyright: ignore[reportPrivateUsage] (as pynetdicom itself does)
        assoc.name = f"AcceptorThread@{self.client_address[0]}:{self.client_address[1]}"
        assoc.set_socket(GuardedSocket(assoc, self.request))
        assoc.acceptor.maximum_length = self.ae.maximum_pdu_size
        assoc.acceptor.ae_title = server.ae_title
        assoc.acceptor.address_info = self.local
        assoc.acceptor.implementation_class_uid = self.ae.implementation_class_uid
        assoc.acceptor.implementation_version_name = self.ae.implementation_version_name
        assoc.requestor.address_info = self.remote
        for event, handler in server.handlers:
            assoc.bind(event, handler)
        return assoc


class Listener(ThreadedAssociationServer):
    """The listening socket and its associations."""

    request_queue_size = BACKLOG
    daemon_threads = True

    def __init__(
        self,
        ae: ApplicationEntity,
        address: tuple[str, int],
        begin_on: StoreBeginner,
        on_end: Callable[[Association], None],
        *,
        handlers: Sequence[tuple[evt.EventType, Callable[[evt.Event], Any]]],
        max_per_peer: int,
    ) -> None:
        self.begin_on = begin_on
        self.handlers = handlers
        self._on_end = on_end
        self._max_per_peer = max_per_peer
        self._connected: Counter[str] = Counter()
        self._connected_lock = threading.Lock()
        super().__init__(ae, address, ae.ae_title, [], request_handler=_Handler)
        self._thread = threading.Thread(target=self.serve_forever, name="listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Limit connections before a thread is spent on them: silent ones must not lock others out."""
        peer = client_address[0]
        with self._connected_lock:
            limit = self.ae.maximum_associations + POLITE_EXTRA
            if self._connected[peer] >= self._max_per_peer or self._connected.total() >= limit:
                logger.warning("connection refused: too many at once", extra={"peer": peer})
                return False
            self._connected[peer] += 1
        request.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        return True

    def ended(self, peer: str, assoc: Association) -> None:
        self.disconnected(peer)
        self._on_end(assoc)

    def disconnected(self, peer: str) -> None:
        with self._connected_lock:
            self._connected[peer] -= 1
            if not self._connected[peer]:
                del self._connected[peer]

    def shutdown(self, patience_s: float = 0.0) -> None:
        """Stop listening, let associations finish for a while, then abort them."""
        if self._thread.is_alive():
            BaseServer.shutdown(self)
        self.server_close()
        deadline = time.monotonic() + patience_s
        while self._connected.total() and time.monotonic() < deadline:
            time.sleep(0.02)
        for assoc in self.active_associations:
            assoc.abort()

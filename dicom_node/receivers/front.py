"""The port of the node: lets connections in, few enough of each peer, and hands them to the receivers."""

import logging
import socket
import threading
import time
from typing import Final

from dicom_node.errors import NodeError
from dicom_node.receivers.channel import answer_within, pair
from dicom_node.receivers.crew import Crew
from dicom_node.receivers.registrar import Registrar
from dicom_node.receivers.visits import Visit, Visits

logger = logging.getLogger(__name__)

BACKLOG: Final = 128
RECEIVE_BUFFER_BYTES: Final = 1 << 20
PAUSE_S: Final = 0.05
"""Wait after a failed acceptance: with no descriptor left, the next one fails too."""
PATIENCE_S: Final = 10.0
"""How long a connection waits for a receiver while all of them are being started again."""

PATIENCE_WITH_THE_INDEX_S: Final = 20.0
"""How long an instance waits for its row; longer than an index that is away needs to say so, shorter than
senders wait for the answer."""


class Front:
    """The listening socket; connections never wait for the data of other connections."""

    def __init__(self, visits: Visits, registrar: Registrar, crew: Crew) -> None:
        self._visits = visits
        self._registrar = registrar
        self._crew = crew
        self._socket: socket.socket | None = None
        self._is_stopping = False
        self._thread = threading.Thread(target=self._accept, name="front", daemon=True)

    def bind(self, host: str, port: int) -> None:
        """Take the port; nobody is let in before `start`.

        Raises:
            NodeError: it is taken or the address is not ours.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Inherited by what is accepted: only so does the window grow with it.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        try:
            listening.bind((host, port))
        except OSError as exc:
            listening.close()
            raise NodeError(f"cannot listen on {host} port {port}: {exc.strerror}") from exc
        self._socket = listening

    def start(self) -> None:
        assert self._socket is not None  # noqa: S101 - bind comes first
        self._socket.listen(BACKLOG)
        self._thread.start()

    def stop(self) -> None:
        """Let nobody in any more."""
        self._is_stopping = True
        if self._socket is not None:
            if self._thread.is_alive():
                self._socket.shutdown(socket.SHUT_RDWR)  # ends the wait for a connection
                self._thread.join()
            self._socket.close()

    def _accept(self) -> None:
        assert self._socket is not None  # noqa: S101 - bind comes first
        while True:
            try:
                connection, address = self._socket.accept()
            except OSError as exc:
                if self._is_stopping:
                    return
                logger.warning("a connection could not be accepted", extra={"error": exc.strerror})
                time.sleep(PAUSE_S)
                continue
            with connection:
                self._let_in(connection, address[:2])

    def _let_in(self, connection: socket.socket, address: tuple[str, int]) -> None:
        visit = self._visits.begin(address)
        if visit is None:
            logger.warning("connection refused: too many at once", extra={"peer": address[0]})
            return
        ours, theirs = pair()
        answer_within(theirs, PATIENCE_WITH_THE_INDEX_S)
        with theirs:
            if self._hand_over(connection, theirs, visit):
                self._registrar.attend(ours, visit)
                return
        ours.close()
        self._visits.end(visit)
        logger.error("connection refused: no receiver is ready", extra={"peer": address[0]})

    def _hand_over(self, connection: socket.socket, channel: socket.socket, visit: Visit) -> bool:
        for _ in self._crew.receivers:
            receiver = self._crew.least_busy(PATIENCE_S)
            if receiver is None:
                return False
            visit.receiver = receiver.number
            if receiver.hand_over(connection, channel, visit):
                return True
        return False

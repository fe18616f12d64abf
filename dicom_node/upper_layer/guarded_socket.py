"""A socket that reads what there is, in big pieces, and waits for nobody longer than it should."""

import logging
import select
import socket
import ssl
import struct
import time
from typing import Final

from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from dicom_node.tls import SEND_TIMEOUT_S

logger = logging.getLogger(__name__)

BUFFER_BYTES: Final = 1 << 18
TICK_US: Final = 100_000
"""How long a read waits for the next bytes at most, in microseconds."""
MAX_NEGOTIATION_BYTES: Final = 1 << 18
"""Largest PDU of a negotiation: 128 presentation contexts with 38 transfer syntaxes each fit."""
BASE_PATIENCE_S: Final = 5.0
LEAST_BYTES_PER_S: Final = 16 * 1024
_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)


def patience_s(length: int) -> float:
    """Seconds in which a PDU of `length` bytes must be complete."""
    return BASE_PATIENCE_S + length / LEAST_BYTES_PER_S


class GuardedSocket(AssociationSocket):
    """The transport of one accepted association, with one receive buffer for its whole life."""

    def __init__(self, assoc: Association, client_socket: socket.socket) -> None:
        super().__init__(assoc, client_socket=client_socket)
        client_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if isinstance(client_socket, ssl.SSLSocket):
            client_socket.settimeout(SEND_TIMEOUT_S)
        else:
            # Kept blocking: a Python timeout would cost a poll() per read. Reads follow a poll() anyway.
            limit = struct.pack("ll", int(SEND_TIMEOUT_S), 0)
            client_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            client_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, TICK_US))
        self.is_plain = not isinstance(client_socket, ssl.SSLSocket)
        """Whether bytes come as the peer sends them; those of TLS come a record at a time."""
        self._view = memoryview(bytearray(BUFFER_BYTES))
        self._read = 0
        self._written = 0
        self.is_stalled = False
        """Set by the reader when what is buffered is not enough to go on."""
        self._negotiate_until = time.monotonic() + float(assoc.ae.acse_timeout or 0)

    @property
    def buffered(self) -> memoryview:
        """What was received and not yet consumed."""
        return self._view[self._read : self._written]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is buffered."""
        return self._read == self._written

    @property
    def must_wait(self) -> bool:
        """Whether nothing can be done before the peer sends more."""
        return self.is_stalled or self._read == self._written

    @property
    def has_pending(self) -> bool:
        """Whether TLS holds bytes that it has decrypted and no poll() tells of."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def consume(self, count: int) -> None:
        self._read += count

    def fill(self, most: int = BUFFER_BYTES) -> bool:
        """Receive what there is, `most` bytes at most; False at the end of the stream.

        Waits a tick if there is nothing, except over TLS.

        Raises:
            OSError: the connection broke.
        """
        sock = self._open_socket()
        if self._read == self._written:
            self._read = self._written = 0
        elif self._read:
            left = bytes(self.buffered)
            self._view[: len(left)] = left
            self._read, self._written = 0, len(left)
        try:
            received = sock.recv_into(self._view[self._written : self._written + most])
        except (ssl.SSLWantReadError, BlockingIOError):
            self.is_stalled = True
            return True
        if _QUICKACK is not None:
            # Senders that wait for an acknowledgement before the next packet do not wait 40 ms for it.
            sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        self._written += received
        self.is_stalled = False
        return received > 0

    def receive_into(self, room: memoryview, ahead: int) -> int | None:
        """Receive until `room` and then `ahead` bytes of the empty buffer are full, or a tick is over.

        Returns how many bytes came into `room`; None if nothing came. Not for TLS, see `is_plain`.

        Raises:
            OSError: the connection broke or has ended.
        """
        try:
            received = self._open_socket().recvmsg_into((room, self._view[:ahead]), 0, socket.MSG_WAITALL)[0]
        except BlockingIOError:
            return None
        if not received:
            raise ConnectionResetError("the peer has closed the connection")
        self._read, self._written = 0, max(0, received - len(room))
        return min(received, len(room))

    @property
    def ready(self) -> bool:
        return self._read < self._written or bool(AssociationSocket.ready.fget(self))  # type: ignore[misc] # a property

    def recv(self, nr_bytes: int) -> bytearray:
        """Read whole PDUs for the library's own path: bounded in length and in time.

        What is too long, too slow or broken off comes short, which the library takes for the end of the
        connection; an error it would log with its traceback.
        """
        out = bytearray()
        try:
            self._read_whole(nr_bytes, out)
        except OSError as exc:
            logger.warning("connection given up", extra={"fault": str(exc)})
        return out

    def _read_whole(self, nr_bytes: int, out: bytearray) -> None:
        if nr_bytes > MAX_NEGOTIATION_BYTES:
            raise OSError(f"a PDU announces {nr_bytes} bytes")
        deadline = time.monotonic() + patience_s(nr_bytes)
        if not self.assoc.is_established:
            deadline = min(deadline, self._negotiate_until)
        while len(out) < nr_bytes:
            if self._read == self._written and not self._fill_before(deadline):
                break
            piece = self.buffered[: nr_bytes - len(out)]
            out += piece
            self.consume(len(piece))

    def _shutdown_socket(self) -> None:
        sock = self.socket
        super()._shutdown_socket()
        if sock is not None:
            # The library forgets it where the peer was faster.
            sock.close()

    def _fill_before(self, deadline: float) -> bool:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("a PDU came too slowly")
        if not self.has_pending:
            ready = select.poll()
            ready.register(self._open_socket(), select.POLLIN)
            if not ready.poll(left_s * 1000):
                raise TimeoutError("a PDU came too slowly")
        return self.fill()

    def _open_socket(self) -> socket.socket:
        if self.socket is None or self.socket.fileno() < 0:
            raise OSError("the connection is closed")
        return self.socket

"""A peer that writes its own bytes (PS3.8 9.3), so that it can stop, lie or break off anywhere."""

import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from pydicom import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from tests.unit.dicom_node.arrivals import encoded

VERIFICATION = "1.2.840.10008.1.1"
RQ, AC, RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
ECHO_CONTEXT, STORE_CONTEXT = 1, 3
PATIENCE_S = 30


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxL", kind, len(body)) + body


def pdv(content: bytes, context: int, *, is_command: bool, is_last: bool = True) -> bytes:
    return pdu(P_DATA, struct.pack(">LBB", len(content) + 2, context, is_command | is_last << 1) + content)


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def _context(number: int, abstract: str, syntax: str) -> bytes:
    syntaxes = _item(0x30, abstract.encode()) + _item(0x40, syntax.encode())
    return _item(0x20, bytes((number, 0, 0, 0)) + syntaxes)


CONTEXTS = {
    ECHO_CONTEXT: (VERIFICATION, str(ExplicitVRLittleEndian)),
    STORE_CONTEXT: (str(CTImageStorage), str(ExplicitVRLittleEndian)),
}
"""Presentation contexts that are asked for unless others are named: abstract and transfer syntax."""


def associate_rq(
    called: str = "MEDVERSA", calling: str = "RAW", contexts: Mapping[int, tuple[str, str]] = CONTEXTS
) -> bytes:
    body = struct.pack(">HH", 1, 0) + called.encode().ljust(16) + calling.encode().ljust(16) + bytes(32)
    body += _item(0x10, b"1.2.840.10008.3.1.1.1")
    body += b"".join(_context(number, *syntaxes) for number, syntaxes in contexts.items())
    body += _item(0x50, _item(0x51, struct.pack(">L", 1 << 14)) + _item(0x52, b"1.2.826.0.1.3680043.99"))
    return pdu(RQ, body)


def command_set(*elements: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack("<HHL", 0, number, len(value)) + value for number, value in elements)


def padded(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


def echo_rq() -> bytes:
    command = command_set(
        (0x0002, padded(VERIFICATION)), (0x0100, b"\x30\0"), (0x0110, b"\1\0"), (0x0800, b"\1\1")
    )
    return pdv(command, ECHO_CONTEXT, is_command=True)


def store_elements(sop_class_uid: str, sop_instance_uid: str) -> list[tuple[int, bytes]]:
    return [
        (0x0002, padded(sop_class_uid)),
        (0x0100, b"\1\0"),
        (0x0110, b"\1\0"),
        (0x0700, b"\0\0"),
        (0x0800, b"\0\0"),
        (0x1000, padded(sop_instance_uid)),
    ]


def store_rq(ds: Dataset) -> bytes:
    command = command_set(*store_elements(ds.SOPClassUID, ds.SOPInstanceUID))
    return pdv(command, STORE_CONTEXT, is_command=True)


def data_pdus(content: bytes, piece: int = 8192, context: int = STORE_CONTEXT) -> bytes:
    pieces = [content[at : at + piece] for at in range(0, len(content), piece)]
    return b"".join(
        pdv(each, context, is_command=False, is_last=number == len(pieces))
        for number, each in enumerate(pieces, 1)
    )


class RawPeer:
    """One connection, closed at the end whatever became of it."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE_S)
        self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", port))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def associate(self, request: bytes = b"") -> Self:
        self.socket.sendall(request or associate_rq())
        kind, _ = self.read()
        assert kind == AC
        return self

    def read(self) -> tuple[int, bytes]:
        """Read one PDU; (0, b"") at the end of the stream or when the connection broke."""
        head = self._exactly(6)
        if len(head) < 6:
            return 0, b""
        kind, length = struct.unpack(">BxL", head)
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        out = b""
        with suppress(ConnectionError):
            while len(out) < count and (piece := self.socket.recv(count - len(out))):
                out += piece
        return out

    def status(self) -> int | None:
        """Read a response and return its status; None where an answer is not a response."""
        kind, body = self.read()
        at = body.find(struct.pack("<HHL", 0, 0x0900, 2))
        return struct.unpack_from("<H", body, at + 8)[0] if kind == P_DATA and at >= 0 else None

    def store(self, ds: Dataset) -> int | None:
        self.socket.sendall(store_rq(ds) + data_pdus(encoded(ds)))
        return self.status()

    def echo(self) -> int | None:
        self.socket.sendall(echo_rq())
        return self.status()

    def release(self) -> None:
        self.socket.sendall(pdu(RELEASE_RQ, bytes(4)))
        kind, _ = self.read()
        assert kind == RELEASE_RP

    def abort(self) -> None:
        self.socket.sendall(pdu(ABORT, bytes(4)))

    def reset(self) -> None:
        """Let the connection end with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def is_closed_by_peer(self) -> bool:
        """Wait for the other side to end the connection; what it still says is read."""
        try:
            while self.read()[0]:
                pass
        except TimeoutError:
            return False
        return True


def echo(port: int) -> int | None:
    """Verify, on an association of its own, that a modality would be served."""
    with RawPeer(port) as peer:
        status = peer.associate().echo()
        peer.release()
        return status

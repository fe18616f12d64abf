"""The least that can receive DICOM durably: `python -m benchmarks.bare_receiver PORT FOLDER [--no-sync]`.

A process for each connection accepts every presentation context, writes what comes to a new file, syncs it
and answers. No header is read, nothing is checked, hashed, named durably or indexed: what a receiver in this
language, on this machine, cannot be faster than.
"""

import argparse
import itertools
import os
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

P_DATA, RELEASE_RQ = 4, 5
HEADER = struct.Struct(">BxL")
PDV = struct.Struct(">LBB")
MAX_PDU = 1 << 17


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def items(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        kind, length = struct.unpack_from(">BxH", body, at)
        yield kind, body[at + 4 : at + 4 + length]
        at += 4 + length


def accepted(request: bytes) -> bytes:
    """Answer an A-ASSOCIATE-RQ (PS3.8 9.3.2): every context with the first transfer syntax that it names."""
    answer = bytearray(request[:68])
    for kind, body in items(request[68:]):
        if kind == 0x10:
            answer += item(kind, body)
        elif kind == 0x20:
            syntax = next(value for sub, value in items(body[4:]) if sub == 0x40)
            answer += item(0x21, body[:1] + bytes(3) + item(0x40, syntax))
    answer += item(0x50, item(0x51, struct.pack(">L", MAX_PDU)) + item(0x52, b"2.25.1"))
    return HEADER.pack(2, len(answer)) + answer


def response(context: int, command: bytes) -> bytes:
    """Answer a C-STORE-RQ with success (PS3.7 9.3.1.2)."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(command):
        _, element, length = struct.unpack_from("<HHL", command, at)
        found[element] = command[at + 8 : at + 8 + length]
        at += 8 + length
    values = ((2, found[2]), (0x100, b"\1\x80"), (0x120, found[0x110]), (0x800, b"\1\1"), (0x900, b"\0\0"))
    body = b"".join(
        struct.pack("<HHL", 0, element, len(value)) + value
        for element, value in (*values, (0x1000, found[0x1000]))
    )
    body = struct.pack("<HHLL", 0, 0, 4, len(body)) + body
    return HEADER.pack(P_DATA, len(body) + 6) + PDV.pack(len(body) + 2, context, 3) + body


def exactly(connection: socket.socket, view: memoryview) -> bool:
    return connection.recv_into(view, len(view), socket.MSG_WAITALL) == len(view)


def serve(connection: socket.socket, folder: Path, *, is_durable: bool) -> None:
    view = memoryview(bytearray(1 << 20))
    names = (folder / f"{os.getpid()}-{number}" for number in itertools.count())
    command, context, file = b"", 0, -1
    while exactly(connection, view[:6]):
        kind, length = HEADER.unpack_from(view)
        if not exactly(connection, view[:length]):
            return
        if kind == RELEASE_RQ:
            connection.sendall(HEADER.pack(6, 4) + bytes(4))
        elif kind != P_DATA:
            connection.sendall(accepted(bytes(view[:length])))
            continue
        at = 0
        while kind == P_DATA and at < length:
            size, context, control = PDV.unpack_from(view, at)
            content = view[at + 6 : at + 4 + size]
            at += 4 + size
            if control & 1:
                command = bytes(content)
                file = os.open(next(names), os.O_CREAT | os.O_WRONLY)
                continue
            os.write(file, content)
            if control & 2:
                if is_durable:
                    os.fsync(file)
                os.close(file)
                connection.sendall(response(context, command))


def reap() -> None:
    """Wait for children that have ended, so that their processor time counts as ours."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--no-sync", action="store_true", help="do not wait for the disk")
    arguments = parser.parse_args()
    signal.signal(signal.SIGCHLD, lambda number, frame: reap())
    with socket.create_server(("127.0.0.1", arguments.port), backlog=64) as listening:
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                serve(connection, arguments.folder, is_durable=not arguments.no_sync)
                os._exit(0)
            connection.close()


if __name__ == "__main__":
    main()

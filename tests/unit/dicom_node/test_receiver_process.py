"""Receiver processes where processes and descriptors run out: they are told of, and nobody is lost by it."""

import errno
import logging
import os
import resource
import signal
import socket
from collections.abc import Iterator
from typing import cast

import pytest

from dicom_node.errors import StorageError
from dicom_node.receivers import process
from dicom_node.receivers.channel import pair
from dicom_node.scp import StorageSCP
from dicom_node.settings import NodeSettings


class Exited(BaseException):
    """Stands for the end of the process, which `os._exit` would make of the tests."""


@pytest.fixture
def nursery(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of its channel; on leaving, the process stays."""

    def leave(status: int) -> None:
        raise Exited(status)

    def keep_handlers(number: int, handler: object) -> None:
        pass

    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(signal, "signal", keep_handlers)
    ours, theirs = pair()
    with ours, theirs:
        yield ours, theirs


def order_a_receiver(orders: socket.socket) -> socket.socket:
    ours, theirs = pair()
    with theirs:
        socket.send_fds(orders, [b"fork"], [theirs.fileno()])
    return ours


def test_nursery_survives_a_fork_that_fails(
    nursery: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    orders, theirs = nursery
    forked: list[str] = []

    def fork() -> int:
        forked.append("tried")
        if len(forked) == 1:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return 4711

    monkeypatch.setattr(os, "fork", fork)
    waiting = [order_a_receiver(orders) for _ in range(2)]
    orders.close()

    with pytest.raises(Exited):
        process._fork_receivers(theirs, NodeSettings())  # pyright: ignore[reportPrivateUsage] # the loop alone

    assert len(forked) == 2
    for control in waiting:
        with control:
            assert control.recv(1) == b"", "who waits is told"


def test_receiver_that_cannot_begin_says_why(
    nursery: tuple[socket.socket, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    orders, theirs = nursery

    def open_database(url: str) -> None:
        raise StorageError("the index could not be used (OperationalError)")

    monkeypatch.setattr(os, "fork", lambda: 0)
    monkeypatch.setattr(process, "open_database", open_database)
    with order_a_receiver(orders), caplog.at_level(logging.ERROR), pytest.raises(Exited):
        process._fork_receivers(theirs, NodeSettings())  # pyright: ignore[reportPrivateUsage] # the loop alone

    assert "the index could not be used" in caplog.text


def test_T28_connection_for_which_no_descriptor_is_left_costs_no_other() -> None:
    node, receiver = pair()
    peer, connection = socket.socketpair()
    channel, other = pair()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with node, receiver, peer, channel:
        with connection, other:
            socket.send_fds(node, [b"{}"], [connection.fileno(), other.fileno()])
        node.send(b'{"patience_s": 3}')
        lowest_free = os.dup(node.fileno())
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            served = cast(StorageSCP, None)  # nobody to serve
            patience_s = process._take_connections(receiver, served)  # pyright: ignore[reportPrivateUsage] # the loop alone
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        assert patience_s == 3
        assert peer.recv(1) == b"", "the peer is not left waiting"

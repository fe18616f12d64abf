"""A receiver that cannot have a thread, or gets a broken connection, loses that one and nothing else."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_node.database.engine import Database
from dicom_node.intake import Intake
from dicom_node.scp import StorageSCP
from dicom_node.settings import Node
from dicom_node.storage import InstanceStore

ADDRESS = ("127.0.0.1", 50000)


@pytest.fixture
def scp(tmp_path: Path, store: InstanceStore, database: Database) -> Iterator[StorageSCP]:
    made = StorageSCP(Node(data_dir=tmp_path), Intake(store, database))
    yield made
    made.stop(0)


def _descriptors() -> set[str]:
    """What this process holds open, by number and kind."""
    folder = Path("/proc/self/fd")
    return {f"{one.name} {one.readlink()}" for one in folder.iterdir() if one.exists() or one.is_symlink()}


def _say_nothing(arguments: threading.ExceptHookArgs) -> None:
    """That a thread ends by an exception is what is tried here."""


def _connected() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname())
        return peer, listening.accept()[0]


@pytest.mark.parametrize("started", [0, 1])
def test_connection_for_which_there_is_no_thread_leaves_no_descriptor(
    scp: StorageSCP, monkeypatch: pytest.MonkeyPatch, started: int
) -> None:
    left, start = [started], threading.Thread.start

    def start_a_few(thread: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    before = _descriptors()
    peer, connection = _connected()
    other_end, channel = socket.socketpair()
    with monkeypatch.context() as patched, peer, other_end:
        patched.setattr(threading.Thread, "start", start_a_few)
        patched.setattr(threading, "excepthook", _say_nothing)
        scp.serve(connection, channel, ADDRESS, is_crowded=False)
        other_end.settimeout(10)

        assert other_end.recv(1) == b""  # its channel has ended
        for thread in set(threading.enumerate()) - {threading.current_thread()}:
            if thread.name.startswith("AcceptorThread"):
                thread.join(10)
    assert not _descriptors() - before


def test_connection_that_is_broken_already_leaves_no_descriptor(scp: StorageSCP) -> None:
    before = _descriptors()
    peer, connection = socket.socketpair()  # it has no options of TCP, as one that was reset has none
    other_end, channel = socket.socketpair()
    with peer, other_end:
        scp.serve(connection, channel, ADDRESS, is_crowded=False)
        other_end.settimeout(10)

        assert other_end.recv(1) == b""
    assert not _descriptors() - before

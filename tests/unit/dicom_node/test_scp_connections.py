"""A receiver that cannot have a thread, or gets a broken connection, loses that one and nothing else."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.uid import generate_uid

from dicom_node.database.engine import Database
from dicom_node.intake import Intake
from dicom_node.receivers.channel import pair
from dicom_node.receivers.registrar import Registrar
from dicom_node.receivers.visits import Visits
from dicom_node.scp import StorageSCP
from dicom_node.settings import Node
from dicom_node.spool_file import SpoolFile
from dicom_node.storage import InstanceStore
from tests.faults.raw_peer import RawPeer
from tests.unit.dicom_node.arrivals import dataset

ADDRESS = ("127.0.0.1", 50000)


@contextmanager
def listening(scp: StorageSCP, database: Database) -> Iterator[int]:
    """A port at which one connection is served as the node serves it."""
    visits = Visits(1, 1, lambda address: True)
    registrar = Registrar(database.instances, visits)
    registrar.start()

    def accept() -> None:
        connection, address = server.accept()
        visit = visits.begin(address)
        assert visit is not None
        ours, theirs = pair()
        registrar.attend(ours, visit)
        scp.serve(connection, theirs, address, is_crowded=False)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        thread.join()
    scp.stop(10)
    registrar.stop()


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


def test_T12_disk_that_hangs_is_answered_in_time_and_once(
    scp: StorageSCP, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicom_node.scp.ANSWER_WITHIN_S", 0.5)
    moving, sync = threading.Event(), SpoolFile.sync

    def sync_when_it_moves(file: SpoolFile) -> None:
        moving.wait(60)
        sync(file)

    monkeypatch.setattr(SpoolFile, "sync", sync_when_it_moves)
    ds = dataset()
    with listening(scp, database) as port, RawPeer(port) as peer:
        peer.associate()
        began = time.monotonic()
        assert peer.store(ds) == 0xA700
        assert time.monotonic() - began < 10
        moving.set()
        assert peer.echo() == 0x0000, "nothing was said twice"
        assert peer.store(ds) == 0x0000
        assert peer.store(dataset(SOPInstanceUID=generate_uid())) == 0x0000
    assert len(database.instances.of_study(ds.StudyInstanceUID)) == 2


def test_connection_that_is_broken_already_leaves_no_descriptor(scp: StorageSCP) -> None:
    before = _descriptors()
    peer, connection = socket.socketpair()  # it has no options of TCP, as one that was reset has none
    other_end, channel = socket.socketpair()
    with peer, other_end:
        scp.serve(connection, channel, ADDRESS, is_crowded=False)
        other_end.settimeout(10)

        assert other_end.recv(1) == b""
    assert not _descriptors() - before

"""A receiver that cannot have a thread, or gets a broken connection, loses that one and nothing else."""

import os
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
from tests.faults.raw_peer import ABORT, RawPeer, data_pdus, pdu, store_rq
from tests.unit.dicom_node.arrivals import dataset, encoded

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


@pytest.mark.parametrize("piece", [4096, 16_376, 40_000, (1 << 17) - 6])
@pytest.mark.parametrize("size", [100, 300_000, (1 << 20) - 1000, 2_500_000])
def test_data_set_is_the_same_however_it_is_cut(
    scp: StorageSCP, database: Database, piece: int, size: int
) -> None:
    images = [dataset(SOPInstanceUID=generate_uid(), PixelData=os.urandom(size)) for _ in range(3)]
    with listening(scp, database) as port, RawPeer(port) as peer:
        peer.associate()
        for ds in images:
            peer.socket.sendall(store_rq(ds) + data_pdus(encoded(ds), piece))
            assert peer.status() == 0x0000
        peer.release()

    kept = {
        each.sop_instance_uid: each.path for each in database.instances.of_study(images[0].StudyInstanceUID)
    }
    assert all(kept[ds.SOPInstanceUID].read_bytes().endswith(encoded(ds)) for ds in images)
    assert len(kept) == 3


@pytest.mark.parametrize("pause_after", [1, 7, 3000, 131_078, 131_081, 200_000, 262_156])
def test_peer_may_pause_anywhere(scp: StorageSCP, database: Database, pause_after: int) -> None:
    ds = dataset(PixelData=os.urandom(300_000))
    stream = data_pdus(encoded(ds), (1 << 17) - 6)
    with listening(scp, database) as port, RawPeer(port) as peer:
        peer.associate().socket.sendall(store_rq(ds) + stream[:pause_after])
        time.sleep(0.3)
        peer.socket.sendall(stream[pause_after:])
        assert peer.status() == 0x0000
        assert peer.echo() == 0x0000
        peer.release()

    (kept,) = database.instances.of_study(ds.StudyInstanceUID)
    assert kept.path.read_bytes().endswith(encoded(ds))


@pytest.mark.parametrize("end", [b"", pdu(ABORT, bytes(4))])
@pytest.mark.parametrize("begun", [1000, 131_078, 200_000])
def test_peer_that_ends_within_a_data_set_leaves_nothing(
    scp: StorageSCP, database: Database, store: InstanceStore, begun: int, end: bytes
) -> None:
    ds = dataset(PixelData=os.urandom(300_000))
    with listening(scp, database) as port, RawPeer(port) as peer:
        stream = store_rq(ds) + data_pdus(encoded(ds), (1 << 17) - 6)[:begun]
        peer.associate().socket.sendall(stream + end)

    assert database.instances.get(ds.SOPInstanceUID) is None
    store.spool.close()  # the names made ahead
    assert not list(store.spool.folder.rglob("*.dcm"))


def test_connection_that_is_broken_already_leaves_no_descriptor(scp: StorageSCP) -> None:
    before = _descriptors()
    peer, connection = socket.socketpair()  # it has no options of TCP, as one that was reset has none
    other_end, channel = socket.socketpair()
    with peer, other_end:
        scp.serve(connection, channel, ADDRESS, is_crowded=False)
        other_end.settimeout(10)

        assert other_end.recv(1) == b""
    assert not _descriptors() - before

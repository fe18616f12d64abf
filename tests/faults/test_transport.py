"""Peers that break off, repeat themselves, wait, drip, lie about lengths or talk nonsense."""

import select
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from dicom_node.database.engine import Database, open_database
from dicom_node.study import Reason
from tests.driving import wait_until
from tests.faults.raw_peer import (
    ABORT,
    P_DATA,
    RQ,
    RawPeer,
    associate_rq,
    data_pdus,
    echo,
    store_rq,
)
from tests.integration.dicom_node.programs import NodeProcess
from tests.unit.dicom_node.arrivals import dataset, encoded

STRANGER = "127.0.0.2"
PATIENCE_S = 60


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    running = NodeProcess(tmp_path_factory.mktemp("node")).start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def index(node: NodeProcess) -> Iterator[Database]:
    with closing(index_of(node)) as database:
        yield database


def index_of(node: NodeProcess) -> Database:
    return open_database(f"sqlite:///{node.data_dir}/node.sqlite")


def unfinished(node: NodeProcess, index: Database) -> set[Path]:
    """Files with content that no row points to."""
    folders = [path for path in (node.data_dir / "instances").iterdir() if path.is_dir()]
    known = {path for folder in folders for path in index.instances.files_in(folder)}
    return {path for folder in folders for path in folder.iterdir() if size_of(path)} - known


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def memory_of(node: NodeProcess, field: str) -> int:
    """Return a line of /proc/PID/status, in kB or a count, of the node and its receivers together."""
    assert node.process is not None
    return sum(
        next(int(line.split()[1]) for line in lines if line.startswith(field))
        for pid in (node.process.pid, *node.receivers)
        for lines in [Path(f"/proc/{pid}/status").read_text().splitlines()]
    )


def send_part(node: NodeProcess, ds: Dataset, fraction: float, how: str) -> None:
    """Send part of a data set and end the association as it should not end."""
    stream = data_pdus(encoded(ds))
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.socket.sendall(store_rq(ds) + stream[: int(len(stream) * fraction)])
        if how == "A-ABORT":
            peer.abort()
        elif how == "RST":
            peer.reset()


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("how", ["A-ABORT", "RST", "FIN"])
def test_T09_broken_transfer_leaves_nothing_and_can_be_repeated(
    node: NodeProcess, index: Database, how: str, fraction: float
) -> None:
    ds = dataset(StudyInstanceUID=generate_uid(), PixelData=bytes(40_000))
    for _ in range(20):
        send_part(node, ds, fraction, how)

    wait_until(lambda: not unfinished(node, index), PATIENCE_S, "what was begun is dropped")
    assert index.instances.of_study(ds.StudyInstanceUID) == []

    with RawPeer(node.port) as peer:
        assert peer.associate().store(ds) == 0x0000
    assert len(index.instances.of_study(ds.StudyInstanceUID)) == 1


def test_T10_sender_that_does_not_wait_for_the_answer_may_repeat_itself(
    node: NodeProcess, index: Database
) -> None:
    ds = dataset(StudyInstanceUID=generate_uid())
    with RawPeer(node.port) as peer:
        peer.associate().socket.sendall(store_rq(ds) + data_pdus(encoded(ds)))
        peer.reset()
    wait_until(lambda: index.instances.get(ds.SOPInstanceUID) is not None, PATIENCE_S, "it is kept")

    with RawPeer(node.port) as peer:
        assert peer.associate().store(ds) == 0x0000

    assert len(index.instances.of_study(ds.StudyInstanceUID)) == 1
    wait_until(lambda: bool(index.jobs.of_study(ds.StudyInstanceUID)), PATIENCE_S, "the study has its job")
    assert [job.revision for job in index.jobs.of_study(ds.StudyInstanceUID)] == [1]


def test_T11_what_was_answered_before_an_abort_is_kept_and_read(node: NodeProcess, index: Database) -> None:
    study = generate_uid()
    sent = [dataset(StudyInstanceUID=study) for _ in range(10)]
    with RawPeer(node.port) as peer:
        peer.associate()
        assert [peer.store(ds) for ds in sent[:5]] == [0x0000] * 5
        peer.socket.sendall(store_rq(sent[5]))
        peer.abort()

    wait_until(lambda: bool(index.jobs.of_study(study)), PATIENCE_S, "the study is complete")
    kept = {instance.sop_instance_uid for instance in index.instances.of_study(study)}
    assert kept == {ds.SOPInstanceUID for ds in sent[:5]}


def duplicates_of(index: Database, study: str) -> int:
    """Count what was received again; one event may tell of several."""
    events = [event for event in index.events.of_study(study) if event.reason is Reason.DUPLICATE]
    return sum(int(event.detail.split()[0]) for event in events)


def test_T14_identical_instance_is_kept_once_also_by_a_node_that_was_started_again(
    node: NodeProcess, index: Database
) -> None:
    ds = dataset(StudyInstanceUID=generate_uid())
    study = str(ds.StudyInstanceUID)
    with RawPeer(node.port) as peer:
        peer.associate()
        assert [peer.store(ds) for _ in range(5)] == [0x0000] * 5
    wait_until(lambda: bool(index.jobs.of_study(study)), PATIENCE_S, "the study has its job")
    node.stop()
    node.start()
    with RawPeer(node.port) as peer:
        peer.associate()
        assert [peer.store(ds) for _ in range(5)] == [0x0000] * 5

    assert len(index.instances.of_study(study)) == 1
    assert duplicates_of(index, study) == 9
    assert [job.revision for job in index.jobs.of_study(study)] == [1]
    assert study not in {str(open_study.study_instance_uid) for open_study in index.studies.receiving()}


def test_T15_one_instance_from_eight_associations_at_once_is_kept_once(
    node: NodeProcess, index: Database
) -> None:
    ds = dataset(StudyInstanceUID=generate_uid())

    def send(_: int) -> list[int | None]:
        with RawPeer(node.port) as peer:
            peer.associate()
            return [peer.store(ds) for _ in range(50)]

    with ThreadPoolExecutor(8) as senders:
        answers = [status for statuses in senders.map(send, range(8)) for status in statuses]

    assert answers == [0x0000] * 400
    assert len(index.instances.of_study(ds.StudyInstanceUID)) == 1
    assert duplicates_of(index, ds.StudyInstanceUID) == 399
    assert not unfinished(node, index)


def test_T03_silent_connections_lock_nobody_out_and_are_closed(node: NodeProcess) -> None:
    silent = [RawPeer(node.port, STRANGER) for _ in range(200)]
    try:
        assert echo(node.port) == 0x0000
        assert memory_of(node, "Threads") < 100
        assert all(peer.is_closed_by_peer() for peer in silent)
        assert echo(node.port) == 0x0000
    finally:
        for peer in silent:
            peer.socket.close()


def test_T04_dripping_peers_are_cut_off(node: NodeProcess, index: Database) -> None:
    ds = dataset(StudyInstanceUID=generate_uid(), PixelData=bytes(40_000))
    stream = data_pdus(encoded(ds))
    begun = {
        "request": associate_rq()[:6],
        "command": store_rq(ds)[:6],
        "data set": store_rq(ds) + stream[: len(stream) // 2],
        "large fragment": store_rq(ds) + data_pdus(encoded(ds), piece=1 << 17)[:1000],
    }
    dripping = {name: RawPeer(node.port) for name in begun}
    try:
        for name, peer in dripping.items():
            if name != "request":
                peer.associate()
            peer.socket.sendall(begun[name])
        wait_until(lambda: drip(dripping), PATIENCE_S, "every one of them is cut off")
    finally:
        for peer in dripping.values():
            peer.socket.close()

    wait_until(lambda: not unfinished(node, index), PATIENCE_S, "what was begun is dropped")
    assert index.instances.get(ds.SOPInstanceUID) is None


def drip(peers: dict[str, RawPeer]) -> bool:
    """Send one more byte from each that is still connected; say whether none is."""
    for name, peer in list(peers.items()):
        with suppress(ConnectionError):
            heard, _, _ = select.select([peer.socket], [], [], 0)
            if not heard or peer.socket.recv(1):
                peer.socket.sendall(b"\0")
                continue
        peer.socket.close()
        del peers[name]
    return not peers


@pytest.mark.parametrize("kind", [RQ, P_DATA])
def test_T06_impossible_length_is_refused_before_it_is_read(node: NodeProcess, kind: int) -> None:
    before = memory_of(node, "VmHWM")
    with RawPeer(node.port, STRANGER) as peer:
        if kind == P_DATA:
            peer.associate()
        with suppress(ConnectionError):
            peer.socket.sendall(struct.pack(">BxL", kind, 0xFFFFFFF0))
            for _ in range(400):
                peer.socket.sendall(bytes(1 << 20))
            pytest.fail("400 MB were taken from a peer that announced too much")
    assert memory_of(node, "VmHWM") - before < 16 << 10
    assert echo(node.port) == 0x0000


def test_T06_impossible_length_is_answered_with_an_abort(node: NodeProcess) -> None:
    with RawPeer(node.port) as peer:
        peer.associate().socket.sendall(struct.pack(">BxL", P_DATA, 0xFFFFFFF0))
        kind, body = peer.read()
    # PS3.8 9.3.8: source 2 is the service provider.
    assert (kind, body[2]) == (ABORT, 2)


def test_T27_what_was_answered_before_the_node_was_told_to_stop_is_kept(tmp_path: Path) -> None:
    own = NodeProcess(tmp_path).start()
    study = generate_uid()

    def send(_: int) -> list[str]:
        """Store until the node ends the association; return what was answered with success."""
        answered: list[str] = []
        with suppress(ConnectionError), RawPeer(own.port) as peer:
            peer.associate()
            while peer.store(ds := dataset(StudyInstanceUID=study, PixelData=bytes(40_000))) == 0x0000:
                answered.append(str(ds.SOPInstanceUID))
                time.sleep(0.1)
        return answered

    with ThreadPoolExecutor(8) as senders:
        running = senders.map(send, range(8))
        with closing(index_of(own)) as index:
            wait_until(lambda: len(index.instances.of_study(study)) > 40, PATIENCE_S, "they are under way")
        assert own.stop() == 0
        ledger = [uid for answered in running for uid in answered]

    with closing(index_of(own)) as index:
        kept = {instance.sop_instance_uid for instance in index.instances.of_study(study)}
    assert set(ledger) <= kept

"""Several receiver processes on one port: one node to its peers, whichever of them dies."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from blake3 import blake3
from pydicom.uid import generate_uid

from dicom_node.database.engine import Database, open_database
from dicom_node.study import StudyState
from tests.driving import wait_until
from tests.faults.raw_peer import RJ, RawPeer, associate_rq, echo, store_rq
from tests.integration.dicom_node.programs import NodeProcess
from tests.unit.dicom_node.arrivals import dataset

PATIENCE_S = 60
RECEIVERS = 3
LIMITS = "max_associations = 5\nmax_associations_per_peer = 5\n"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    running = NodeProcess(tmp_path, extra=f"receivers = {RECEIVERS}\n{LIMITS}").start()
    wait_until(lambda: len(running.receivers) == RECEIVERS, PATIENCE_S, "all receivers run")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log


@pytest.fixture
def index(node: NodeProcess) -> Iterator[Database]:
    with closing(open_database(f"sqlite:///{node.data_dir}/node.sqlite")) as database:
        yield database


def receiver_of(node: NodeProcess, peer: RawPeer) -> int:
    """Return the process that holds the other end of a connection, by the kernel's tables."""
    own_port = peer.socket.getsockname()[1]
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = f":{node.port:04X}", f":{own_port:04X}"
    (inode,) = [row[9] for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1])]
    (found,) = [pid for pid in node.receivers if f"socket:[{inode}]" in open_files(pid)]
    return found


def open_files(pid: int) -> list[str]:
    links = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            links.append(os.readlink(descriptor))
    return links


def spread(node: NodeProcess, count: int, stack: ExitStack) -> list[RawPeer]:
    """Associate with as many receivers; the stack closes the connections.

    Connections that only asked whether the node listens count until they have ended: it may take some tries.
    """
    peers: list[RawPeer] = []

    def is_spread() -> bool:
        for peer in peers:
            peer.socket.close()
        peers.clear()
        with suppress(AssertionError):  # those of the try before may still count
            peers.extend(stack.enter_context(RawPeer(node.port)).associate() for _ in range(count))
        return len({receiver_of(node, peer) for peer in peers}) == count

    wait_until(is_spread, PATIENCE_S, "each has a receiver of its own")
    return peers


def test_study_that_comes_by_many_processes_is_completed_once(node: NodeProcess, index: Database) -> None:
    study = generate_uid()
    with ExitStack() as stack:
        peers = spread(node, RECEIVERS, stack)
        with ThreadPoolExecutor(3) as senders:
            answers = senders.map(
                lambda peer: [peer.store(dataset(StudyInstanceUID=study)) for _ in range(10)], peers
            )
            assert [status for statuses in answers for status in statuses] == [0x0000] * 30
        assert index.studies.get(study).state is StudyState.RECEIVING

    wait_until(lambda: index.studies.get(study).state is StudyState.COMPLETE, PATIENCE_S, "it is complete")
    assert [job.revision for job in index.jobs.of_study(study)] == [1]
    assert len(index.instances.of_study(study)) == 30


def test_receiver_that_is_killed_costs_its_own_associations_only(node: NodeProcess, index: Database) -> None:
    study = generate_uid()
    sent = [dataset(StudyInstanceUID=study) for _ in range(3)]
    with ExitStack() as stack:
        lost, other = spread(node, 2, stack)
        serving = receiver_of(node, lost)
        assert [lost.store(sent[0]), other.store(sent[1])] == [0x0000] * 2
        lost.socket.sendall(store_rq(dataset(StudyInstanceUID=study)))

        os.kill(serving, signal.SIGKILL)

        assert lost.is_closed_by_peer()
        assert other.store(sent[2]) == 0x0000
        assert echo(node.port) == 0x0000
    wait_until(lambda: len(node.receivers) == RECEIVERS, PATIENCE_S, "another takes its place")
    assert serving not in node.receivers
    kept = index.instances.of_study(study)
    assert {str(each.sop_instance_uid) for each in kept} == {str(ds.SOPInstanceUID) for ds in sent}
    for each in kept:
        assert each.digest == "b3:" + blake3(each.path.read_bytes()[-each.size :]).hexdigest(30)


def test_limits_are_those_of_the_node_not_of_a_process(node: NodeProcess) -> None:
    peers: list[RawPeer] = []
    try:
        # Connections that only asked whether the node listens count until they have ended.
        wait_until(lambda: is_one_more(peers, node) and len(peers) == 5, PATIENCE_S, "five are let in")
        with RawPeer(node.port) as one_too_many:
            assert one_too_many.is_closed_by_peer()
        with RawPeer(node.port, "127.0.0.2") as polite:
            polite.socket.sendall(associate_rq())
            kind, body = polite.read()
            # PS3.8 9.3.4: rejected-transient, by the presentation service, local limit exceeded.
            assert (kind, body[1:4]) == (RJ, bytes((2, 3, 2)))
    finally:
        for peer in peers:
            peer.socket.close()
    wait_until(lambda: is_served(node), PATIENCE_S, "there is room again")


def is_one_more(peers: list[RawPeer], node: NodeProcess) -> bool:
    peer = RawPeer(node.port)
    with suppress(AssertionError):
        peers.append(peer.associate())
        return True
    peer.socket.close()
    return False


def is_served(node: NodeProcess) -> bool:
    with suppress(AssertionError):
        return echo(node.port) == 0x0000
    return False


def test_receivers_end_with_the_node(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path).start()
    wait_until(lambda: bool(node.receivers), PATIENCE_S, "receivers run")
    orphans = node.receivers

    node.stop(signal.SIGKILL)

    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans), PATIENCE_S, "they end")


def test_signals_to_the_whole_group_end_nothing_before_its_time(node: NodeProcess, index: Database) -> None:
    ds = dataset(StudyInstanceUID=generate_uid())
    with RawPeer(node.port) as peer:
        peer.associate()
        for pid in node.receivers:
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)

        assert peer.store(ds) == 0x0000

    assert index.instances.get(str(ds.SOPInstanceUID)) is not None


def peak_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def test_memory_stays_flat_however_large_the_object(node: NodeProcess) -> None:
    small, large = (
        dataset(StudyInstanceUID=generate_uid(), PixelData=bytes(size)) for size in (1 << 20, 96 << 20)
    )
    with RawPeer(node.port) as peer:
        peer.associate()
        assert peer.store(small) == 0x0000
        receiver = receiver_of(node, peer)
        before = peak_kb(receiver)

        assert peer.store(large) == 0x0000

        assert peak_kb(receiver) - before < 8 << 10

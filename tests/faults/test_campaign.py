"""Malformed PDUs, messages and files by the thousand: nothing falls, nothing hangs, the good are served.

Some hundred of each by default; `MEDVERSA_CAMPAIGN=full` takes all, as `python -m tests.faults.campaign`.
"""

import json
import os
import random
import struct
import sys
from collections import deque
from collections.abc import Iterator

import pytest

from tests.driving import wait_until
from tests.faults.campaign import FULL, assail, probing
from tests.faults.malformed import corrupt_file, dimse_message, mutated, seed_files
from tests.faults.raw_peer import (
    ABORT,
    P_DATA,
    STORE_CONTEXT,
    RawPeer,
    command_set,
    data_pdus,
    echo,
    echo_rq,
    pdv,
    store_elements,
    store_rq,
)
from tests.faults.test_transport import memory_of
from tests.integration.dicom_node.programs import NodeProcess, run
from tests.unit.dicom_node.arrivals import dataset, encoded

COUNTS = (
    FULL if os.environ.get("MEDVERSA_CAMPAIGN") == "full" else {kind: n // 10 for kind, n in FULL.items()}
)
SEED = 7
ANSWER_WITHIN_S = 5


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    running = NodeProcess(tmp_path_factory.mktemp("node")).start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log
    assert "too many at once" not in running.log


def threads_at_rest(node: NodeProcess) -> int:
    """Count the node's threads when none has come or gone for a second.

    Some of its own start just after it listens: counted too early, they would look like strangers' later.
    """
    counts: deque[int] = deque(maxlen=6)

    def is_steady() -> bool:
        counts.append(memory_of(node, "Threads"))
        return len(counts) == counts.maxlen and len(set(counts)) == 1

    wait_until(is_steady, 90, "a steady number of threads")
    return counts[-1]


def survive(node: NodeProcess, kind: str) -> None:
    """Have the node endure one kind of nonsense, and see that it is as it was before."""
    threads, receivers = threads_at_rest(node), node.receivers
    with probing(node.port) as probe:
        figures = assail(node.port, kind, COUNTS[kind], SEED)

    assert figures.hangs == []
    assert sum(figures.ends.values()) == COUNTS[kind]
    assert probe.failures == 0
    assert node.receivers == receivers
    wait_until(lambda: memory_of(node, "Threads") <= threads, 90, "the threads of the strangers end")


def test_T07_malformed_pdus_harm_nobody(node: NodeProcess) -> None:
    survive(node, "pdu")


def test_T08_malformed_messages_are_answered_or_end_the_association(node: NodeProcess) -> None:
    survive(node, "dimse")


def test_D29_corrupt_files_get_a_status_and_leave_no_error_unforeseen(node: NodeProcess) -> None:
    survive(node, "file")

    reading = run(sys.executable, "-m", "tests.faults.read_kept", str(node.data_dir), timeout_s=3600)
    assert reading.returncode == 0, reading.stderr
    assert json.loads(reading.stdout)["unforeseen"] == {}


def test_campaign_is_the_same_for_the_same_seed() -> None:
    def drawn(seed: int) -> list[object]:
        dice = random.Random(seed)
        return [dimse_message(dice), mutated(bytes(100), dice), corrupt_file(dice, 1)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert len({file.transfer_syntax_uid for file in seed_files()}) >= 12


def wrong_messages() -> dict[str, bytes]:
    """Whole messages with one thing wrong, after which a node that says nothing would hang its peer."""
    ds = dataset(SOPInstanceUID="1.2.3.300.1")
    elements = store_elements(ds.SOPClassUID, ds.SOPInstanceUID)
    data = data_pdus(encoded(ds))

    def request(
        *changed: tuple[int, bytes], without: int | None = None, context: int = STORE_CONTEXT
    ) -> bytes:
        wanted = {**dict(elements), **dict(changed)}
        wanted.pop(without or -1, None)
        return pdv(command_set(*wanted.items()), context, is_command=True)

    return {
        "no SOP Instance UID": request(without=0x1000) + data,
        "empty SOP Instance UID": request((0x1000, b"")) + data,
        "SOP Instance UID of 65": request((0x1000, b"1" * 65 + b"\0")) + data,
        "no SOP Class UID": request(without=0x0002) + data,
        "no Message ID": request(without=0x0110) + data,
        "unknown command": request((0x0100, b"\x77\x77")) + data,
        "C-FIND": request((0x0100, b"\x20\0")) + data,
        "wrong group length": pdv(
            command_set((0x0000, b"\xff\xff\xff\x7f"), *elements), STORE_CONTEXT, is_command=True
        )
        + data,
        "length beyond the end": pdv(
            command_set(*elements) + struct.pack("<HHL", 0, 0x1030, 1000), STORE_CONTEXT, is_command=True
        )
        + data,
        "data set that was said not to come": request((0x0800, b"\1\1")) + data,
        "two commands at once": store_rq(ds) + store_rq(ds) + data,
        "context that was not accepted": request(context=9) + data,
        "data set on another context": store_rq(ds) + data_pdus(encoded(ds), context=1),
        "data set first": data,
    }


@pytest.mark.parametrize("fault", wrong_messages())
def test_T08_wrong_message_is_never_met_with_silence(node: NodeProcess, fault: str) -> None:
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.socket.settimeout(ANSWER_WITHIN_S)
        peer.socket.sendall(wrong_messages()[fault])

        assert peer.read()[0] in (P_DATA, ABORT)

    assert echo(node.port) == 0x0000


def test_T08_good_message_after_a_refused_one_is_served(node: NodeProcess) -> None:
    with RawPeer(node.port) as peer:
        peer.associate().socket.sendall(wrong_messages()["empty SOP Instance UID"])
        # PS3.7 C.5: a failure.
        assert (peer.status() or 0) >> 12 in (0x0, 0xA, 0xC)
        peer.socket.sendall(echo_rq())
        assert peer.status() == 0x0000

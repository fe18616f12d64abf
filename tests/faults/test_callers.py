"""Peers that may not call, and calls for what is not offered: told by the standard, logged, nothing kept."""

import struct
from collections.abc import Iterator
from contextlib import closing

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.database.engine import open_database
from tests.driving import wait_until
from tests.faults.raw_peer import AC, RJ, VERIFICATION, RawPeer, associate_rq
from tests.integration.dicom_node.programs import NodeProcess
from tests.unit.dicom_node.arrivals import dataset

CALLERS = """
called_ae_titles = ["AI2"]
[[node.callers]]
ae_title = "CT1"
addresses = ["127.0.0.1", "127.0.1.0/24"]
[[node.callers]]
ae_title = "CT2"
addresses = ["127.0.0.2"]
"""
CALLING_NOT_RECOGNISED, CALLED_NOT_RECOGNISED = (1, 1, 3), (1, 1, 7)
"""Result, source and reason (PS3.8 table 9-21)."""
PRINT, MPEG2 = "1.2.840.10008.5.1.1.9", "1.2.840.10008.1.2.4.100"
ACCEPTED, CLASS_NOT_SUPPORTED, SYNTAX_NOT_SUPPORTED = 0, 3, 4
"""Results of a presentation context (PS3.8 table 9-18)."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    running = NodeProcess(tmp_path_factory.mktemp("node"), extra=CALLERS).start()
    yield running
    assert running.stop() == 0


def answer(node: NodeProcess, calling: str, called: str, source: str) -> tuple[int, ...]:
    """Ask for an association; return the kind of the answer, and of a rejection its three codes."""
    with RawPeer(node.port, source) as peer:
        peer.socket.sendall(associate_rq(called, calling))
        kind, body = peer.read()
    return (kind, *body[1:4]) if kind == RJ else (kind,)


@pytest.mark.parametrize(
    ("calling", "called", "source"),
    [
        ("CT1", "MEDVERSA", "127.0.0.1"),
        ("CT1", "AI2", "127.0.1.77"),
        ("CT2", "MEDVERSA", "127.0.0.2"),
    ],
)
def test_T01_caller_from_its_own_address_is_let_in(
    node: NodeProcess, calling: str, called: str, source: str
) -> None:
    assert answer(node, calling, called, source) == (AC,)


@pytest.mark.parametrize(
    ("calling", "called", "source", "codes"),
    [
        ("CT9", "MEDVERSA", "127.0.0.1", CALLING_NOT_RECOGNISED),
        ("CT1", "MEDVERSA", "127.0.0.2", CALLING_NOT_RECOGNISED),
        ("CT1", "MEDVERSA", "127.0.9.9", CALLING_NOT_RECOGNISED),
        ("CT9", "OTHER", "127.0.0.1", CALLING_NOT_RECOGNISED),
        ("CT1", "OTHER", "127.0.0.1", CALLED_NOT_RECOGNISED),
    ],
)
def test_T01_others_are_rejected_and_logged_once(
    node: NodeProcess, calling: str, called: str, source: str, codes: tuple[int, ...]
) -> None:
    before = len(node.log)

    assert answer(node, calling, called, source) == (RJ, *codes)

    wait_until(lambda: "association rejected" in node.log[before:], 15, "it is logged")
    (line,) = [line for line in node.log[before:].splitlines() if "association rejected" in line]
    assert f"peer={source} calling={calling} called={called}" in line


def test_T01_rejected_peer_leaves_nothing(node: NodeProcess) -> None:
    ds = dataset()
    with RawPeer(node.port, "127.0.0.2") as peer:
        peer.socket.sendall(associate_rq("MEDVERSA", "CT1"))
        assert peer.store(ds) is None

    with closing(open_database(f"sqlite:///{node.data_dir}/node.sqlite")) as index:
        assert index.instances.get(ds.SOPInstanceUID) is None
        assert index.refusals.all() == []


def test_T03_strangers_take_no_place_of_those_who_are_known(node: NodeProcess) -> None:
    silent = [RawPeer(node.port, f"127.0.9.{1 + number % 200}") for number in range(300)]
    try:
        assert [answer(node, "CT1", "MEDVERSA", "127.0.0.1") for _ in range(10)] == [(AC,)] * 10
    finally:
        for peer in silent:
            peer.socket.close()


def results(body: bytes) -> dict[int, int]:
    """Return the results of an A-ASSOCIATE-AC by presentation context (PS3.8 9.3.3)."""
    found: dict[int, int] = {}
    at = 68
    while at < len(body):
        kind, length = struct.unpack_from(">BxH", body, at)
        if kind == 0x21:
            found[body[at + 4]] = body[at + 6]
        at += 4 + length
    return found


def test_T02_contexts_that_are_not_offered_are_told_one_by_one(node: NodeProcess) -> None:
    contexts = {
        1: (VERIFICATION, str(ImplicitVRLittleEndian)),
        3: (PRINT, str(ImplicitVRLittleEndian)),
        5: (str(CTImageStorage), MPEG2),
        7: ("1.2.826.0.1.3680043.99.1", str(ExplicitVRLittleEndian)),
    }
    with RawPeer(node.port) as peer:
        peer.socket.sendall(associate_rq("MEDVERSA", "CT1", contexts))
        kind, body = peer.read()

    assert kind == AC
    found = results(body)
    assert (found[1], found[3], found[5]) == (ACCEPTED, CLASS_NOT_SUPPORTED, SYNTAX_NOT_SUPPORTED)


def test_T02_association_without_any_common_context_stores_nothing(node: NodeProcess) -> None:
    ds = dataset()
    contexts = {3: (PRINT, str(ImplicitVRLittleEndian))}
    with RawPeer(node.port) as peer:
        peer.socket.sendall(associate_rq("MEDVERSA", "CT1", contexts))
        assert results(peer.read()[1]) == {3: CLASS_NOT_SUPPORTED}
        assert peer.store(ds) is None

    with closing(open_database(f"sqlite:///{node.data_dir}/node.sqlite")) as index:
        assert index.instances.get(ds.SOPInstanceUID) is None

"""Nonsense from many peers against one running node, while a good modality verifies that it is served.

`python -m tests.faults.campaign` runs it in full against a node of its own and prints the figures: 2,000
malformed PDU streams, 1,000 malformed DIMSE messages, 2,000 corrupt files. `--seed` draws others.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.malformed import (
    SeedFile,
    conversations,
    corrupt_file,
    dimse_message,
    mutated,
    seed_files,
)
from tests.faults.raw_peer import (
    RELEASE_RQ,
    RawPeer,
    associate_rq,
    command_set,
    data_pdus,
    echo,
    pdu,
    pdv,
    store_elements,
)
from tests.integration.dicom_node.programs import NodeProcess, run

HANG_S = 10.0
PEERS_AT_ONCE = 4
PROBE_EVERY_S = 0.05
FULL = {"pdu": 2000, "dimse": 1000, "file": 2000}


@dataclass
class Figures:
    """How a campaign went."""

    ends: Counter[str] = field(default_factory=Counter)
    """How each talk ended."""
    slowest_s: float = 0.0
    hangs: list[int] = field(default_factory=list)
    """Numbers of the talks that the node did not end in time."""


@dataclass
class Probe:
    """What the good modality met with."""

    times_s: list[float] = field(default_factory=list)
    failures: int = 0

    @property
    def p99_s(self) -> float:
        return statistics.quantiles(self.times_s, n=100)[98]


@contextmanager
def probing(port: int) -> Iterator[Probe]:
    """Verify again and again, each time on an association of its own."""
    probe, stop = Probe(), threading.Event()

    def verify() -> None:
        while not stop.wait(PROBE_EVERY_S):
            began = time.monotonic()
            try:
                is_served = echo(port) == 0x0000
            except (OSError, AssertionError):
                is_served = False
            probe.times_s.append(time.monotonic() - began)
            probe.failures += not is_served

    thread = threading.Thread(target=verify)
    thread.start()
    try:
        yield probe
    finally:
        stop.set()
        thread.join()


def _read_to_end(peer: RawPeer) -> str:
    """Read until the node has ended the connection; say what it said last."""
    last = 0
    with suppress(ConnectionError):
        while (read := peer.read())[0]:
            last = read[0]
    return f"PDU {last}" if last else "closed"


def talk_pdus(port: int, source: str, number: int, seed: int) -> str:
    dice = random.Random(f"{seed} pdu {number}")
    with RawPeer(port, source) as peer:
        peer.socket.settimeout(HANG_S)
        with suppress(OSError):  # it may have hung up already
            peer.socket.sendall(mutated(b"".join(dice.choice(conversations())), dice))
            peer.socket.shutdown(1)
        return _read_to_end(peer)


def talk_dimse(port: int, source: str, number: int, seed: int) -> str:
    dice = random.Random(f"{seed} dimse {number}")
    with RawPeer(port, source) as peer:
        peer.socket.settimeout(HANG_S)
        peer.associate()
        with suppress(ConnectionError):
            # A release follows, so that there is something to answer also where the message never ends.
            peer.socket.sendall(dimse_message(dice) + pdu(RELEASE_RQ, bytes(4)))
        kind, _ = peer.read()
        return f"PDU {kind}" if kind else "closed"


def talk_file(port: int, source: str, number: int, seed: int) -> str:
    file = corrupt_file(random.Random(f"{seed} file {number}"), number)
    numbers = {syntaxes: number for number, syntaxes in FILE_CONTEXTS.items()}
    context = numbers[file.sop_class_uid, file.transfer_syntax_uid]
    with RawPeer(port, source) as peer:
        peer.socket.settimeout(HANG_S)
        peer.associate(associate_rq(contexts=FILE_CONTEXTS))
        command = command_set(*store_elements(file.sop_class_uid, file.sop_instance_uid))
        peer.socket.sendall(pdv(command, context, is_command=True) + data_pdus(file.content, context=context))
        status = peer.status()
        peer.release()
        return "no status" if status is None else f"0x{status:04X}"


def _contexts(files: tuple[SeedFile, ...]) -> dict[int, tuple[str, str]]:
    pairs = dict.fromkeys((file.sop_class_uid, file.transfer_syntax_uid) for file in files)
    return {2 * number + 1: pair for number, pair in enumerate(pairs)}


FILE_CONTEXTS = _contexts(seed_files())

TALKS: dict[str, Callable[[int, str, int, int], str]] = {
    "pdu": talk_pdus,
    "dimse": talk_dimse,
    "file": talk_file,
}


def assail(port: int, kind: str, count: int, seed: int) -> Figures:
    """Have strangers talk nonsense of one kind, several at once, each from one of 200 addresses."""
    figures = Figures()

    def talk(number: int) -> tuple[int, float, str]:
        began = time.monotonic()
        try:
            end = TALKS[kind](port, f"127.0.0.{2 + number % 200}", number, seed)
        except TimeoutError:
            end = "hang"
        return number, time.monotonic() - began, end

    with ThreadPoolExecutor(PEERS_AT_ONCE) as peers:
        for number, took_s, end in peers.map(talk, range(count)):
            figures.ends[end] += 1
            figures.slowest_s = max(figures.slowest_s, took_s)
            if end == "hang" or took_s > HANG_S:
                figures.hangs.append(number)
    return figures


def campaign(node: NodeProcess, counts: Mapping[str, int], seed: int) -> dict[str, object]:
    """Run the kinds one after the other, probing all the while; return the figures."""
    report: dict[str, object] = {"seed": seed}
    with probing(node.port) as probe:
        for kind, count in counts.items():
            began = time.monotonic()
            figures = assail(node.port, kind, count, seed)
            report[kind] = {
                "seconds": round(time.monotonic() - began, 1),
                "slowest_s": round(figures.slowest_s, 2),
                "ends": dict(figures.ends.most_common()),
                "hangs": figures.hangs,
            }
    report["echo"] = {
        "count": len(probe.times_s),
        "failures": probe.failures,
        "p99_s": round(probe.p99_s, 3),
        "longest_s": round(max(probe.times_s), 3),
    }
    return report


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seed", type=int, default=7)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        node = NodeProcess(Path(folder)).start()
        try:
            receivers = node.receivers
            report = campaign(node, FULL, chosen.seed)
            report["receivers died"] = node.receivers != receivers
        finally:
            status = node.stop()
        report["exit status of the node"] = status
        report["lines in its log"] = {
            what: node.log.count(what) for what in ("Traceback", "too many at once")
        }
        reading = run(sys.executable, "-m", "tests.faults.read_kept", str(node.data_dir), timeout_s=3600)
        report["read as a worker does"] = json.loads(reading.stdout or "{}") or reading.stderr[-2000:]
    print(json.dumps(report, indent=1))  # noqa: T201 (the answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())

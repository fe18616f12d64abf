"""What the kernel saw: nothing is answered before it is on stable storage, whoever did which part."""

import re
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import kill
from pathlib import Path

import pytest
from pydicom.uid import generate_uid

from tests.faults.raw_peer import RawPeer
from tests.integration.dicom_node.programs import PATIENCE_S, NodeProcess, children_of, run
from tests.unit.dicom_node.arrivals import dataset

SENDERS, EACH = 4, 50
CALL = re.compile(r"(?P<thread>\d+) +(?P<name>\w+)\((?P<text>.*)")
RESUMED = re.compile(r"(?P<thread>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<text>.*)")
UNFINISHED = " <unfinished ...>"


class TracedNode(NodeProcess):
    """A node whose calls that open, sync and send are written down by strace."""

    @property
    def trace(self) -> Path:
        return self.folder / "trace"

    def command(self, name: str, *arguments: str) -> list[str]:
        command = super().command(name, *arguments)
        calls = "trace=openat,fsync,fdatasync,sendto"
        strace = ["strace", "-f", "-yy", "--seccomp-bpf", "-e", calls, "-o", str(self.trace)]
        return [*strace, *command] if name == "serve" else command

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        (traced,) = children_of(self.process.pid)
        kill(traced, number)
        return self.process.wait(PATIENCE_S)


@dataclass(frozen=True)
class Call:
    """One call, in the order in which calls began or ended."""

    thread: int
    name: str
    text: str
    is_end: bool


def calls_in(trace: Path) -> Iterator[Call]:
    begun: dict[int, str] = {}
    for line in trace.read_text(errors="replace").splitlines():
        if resumed := RESUMED.match(line):
            thread = int(resumed["thread"])
            yield Call(thread, resumed["name"], begun.pop(thread, "") + resumed["text"], True)
        elif call := CALL.match(line):
            thread, name, text = int(call["thread"]), call["name"], call["text"]
            yield Call(thread, name, text, False)
            if text.endswith(UNFINISHED):
                begun[thread] = text.removesuffix(UNFINISHED)
            else:
                yield Call(thread, name, text, True)


@pytest.fixture
def traced(tmp_path: Path) -> TracedNode:
    if shutil.which("strace") is None or run("strace", "-f", "--seccomp-bpf", "true").returncode != 0:
        pytest.skip("strace is not installed, or may not trace here")
    return TracedNode(tmp_path, quiet_period_s=600).start()


def test_S06_every_answer_follows_the_syncs_of_name_file_and_row(traced: TracedNode) -> None:
    def send(_: int) -> list[int | None]:
        with RawPeer(traced.port) as peer:
            peer.associate()
            return [peer.store(dataset(StudyInstanceUID=generate_uid())) for _ in range(EACH)]

    with ThreadPoolExecutor(SENDERS) as senders:
        answers = [status for statuses in senders.map(send, range(SENDERS)) for status in statuses]
    assert answers == [0x0000] * SENDERS * EACH
    assert traced.stop() == 0

    order = Order()
    for call in calls_in(traced.trace):
        order.see(call)
    assert order.answers == len(answers)


class Order:
    """Follows each receiving thread from its file to its answer."""

    def __init__(self) -> None:
        self.answers = 0
        self._named: set[str] = set()
        """Files whose name is not durable yet."""
        self._step: dict[int, str] = {}
        """What each thread has done for its present instance: file synced, asked, row synced."""

    def see(self, call: Call) -> None:
        path = found[1] if (found := re.search(r"\d+<([^<>]*)>", call.text)) else ""
        match call.name:
            case "openat" if call.is_end and "O_CREAT" in call.text and ".dcm" in call.text:
                self._named.add(re.findall(r'"([^"]*\.dcm)"', call.text)[0])
            case "fsync" | "fdatasync" if call.is_end and "= 0" in call.text:
                self._synced(call.thread, path)
            case "sendto" if not call.is_end and "<UNIX" in call.text:
                # Whoever asks for a row before its file is synced has not asked after it: seen at the answer.
                if self._step.get(call.thread) == "file synced":
                    self._step[call.thread] = "asked"
            case "sendto" if not call.is_end and "<TCP" in call.text and r'"\4\0' in call.text:
                assert self._step.pop(call.thread) == "row synced"
                self.answers += 1

    def _synced(self, thread: int, path: str) -> None:
        if path.endswith(".dcm"):
            assert path not in self._named, "a file is synced whose name is not durable"
            self._step[thread] = "file synced"
        elif path.endswith("node.sqlite-wal"):
            self._step |= {each: "row synced" for each, step in self._step.items() if step == "asked"}
        else:
            self._named = {name for name in self._named if str(Path(name).parent) != path}

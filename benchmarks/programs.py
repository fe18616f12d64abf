"""The programs that a benchmark compares: started, told apart, counted and measured alike."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from worker.demo.servers import free_port

START_PATIENCE_S = 120
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}
"""Without it DCMTK's programs, Orthanc among them, wait 40 ms for every object."""
DELAYED = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}


@dataclass(slots=True)
class Receiver:
    """One program under test, running."""

    name: str
    ae_title: str
    port: int
    process: subprocess.Popen[bytes]
    count_kept: Callable[[], int]
    environment: Mapping[str, str] = field(default_factory=lambda: ENVIRONMENT)
    """Also of those who send to it."""
    rates: dict[str, list[float]] = field(default_factory=dict)
    processor_ms: dict[str, list[float]] = field(default_factory=dict)
    """Of each instance."""
    peak_mb: float = 0.0


def wait_for(receiver_port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", receiver_port), timeout=1):
            return
        time.sleep(0.1)
    raise SystemExit(f"a receiver does not come up on port {receiver_port}")


def start(
    command: Sequence[str], folder: Path, port: int, environment: Mapping[str, str] = ENVIRONMENT
) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    wait_for(port, process)
    return process


def start_node(folder: Path, extra: str = "") -> Receiver:
    port = free_port()
    config = folder / "node.toml"
    config.write_text(f'[node]\nport = {port}\ndata_dir = "data"\nquiet_period_s = 3600\n{extra}')
    command = [sys.executable, "-m", "dicom_node", "serve", "--config", str(config), "--log-level", "ERROR"]
    spool = folder / "data" / "instances"

    def count() -> int:
        # The node makes names ahead: those files are empty.
        return sum(path.stat().st_size > 0 for path in spool.rglob("*.dcm"))

    return Receiver("medversa-node", "MEDVERSA", port, start(command, folder, port), count)


def start_bare(folder: Path, *options: str) -> Receiver:
    port, kept = free_port(), folder / "kept"
    kept.mkdir()
    command = [sys.executable, "-m", "benchmarks.bare_receiver", str(port), str(kept), *options]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    process = start(command, folder, port, environment)
    name = "bare, no fsync" if options else "bare loop"
    return Receiver(name, "BARE", port, process, lambda: len(list(kept.iterdir())))


def start_bare_unsynced(folder: Path) -> Receiver:
    return start_bare(folder, "--no-sync")


def start_storescp(folder: Path, environment: Mapping[str, str] = ENVIRONMENT) -> Receiver:
    port, kept = free_port(), folder / "kept"
    kept.mkdir()
    command = ["storescp", "--fork", "-pdu", "131072", "-uf", "-od", str(kept), str(port)]
    process = start(command, folder, port, environment)
    name = "storescp" if environment is ENVIRONMENT else "storescp, delayed"
    return Receiver(name, "STORESCP", port, process, lambda: len(list(kept.iterdir())), environment)


def start_delayed_storescp(folder: Path) -> Receiver:
    return start_storescp(folder, DELAYED)


def start_orthanc(folder: Path) -> Receiver:
    port, http = free_port(), free_port()
    config = folder / "orthanc.json"
    settings = {
        "StorageDirectory": str(folder / "store"),
        "IndexDirectory": str(folder / "store"),
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "HttpPort": http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
    }
    config.write_text(json.dumps(settings))
    executable = shutil.which("Orthanc") or "Orthanc"

    def count() -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{http}/statistics") as answer:
            return int(json.load(answer)["CountInstances"])

    return Receiver("Orthanc", "ORTHANC", port, start([executable, str(config)], folder, port), count)


STARTERS: dict[str, tuple[str, Callable[[Path], Receiver]]] = {
    "medversa-node": (sys.executable, start_node),
    "bare loop": (sys.executable, start_bare),
    "bare, no fsync": (sys.executable, start_bare_unsynced),
    "storescp": ("storescp", start_storescp),
    "storescp, delayed": ("storescp", start_delayed_storescp),
    "Orthanc": ("Orthanc", start_orthanc),
}
"""What each needs to be installed, and how it is started."""


@contextmanager
def running(folder: Path, names: Sequence[str] = tuple(STARTERS)) -> Iterator[list[Receiver]]:
    """Start every named receiver that is installed; stop all on the way out."""
    receivers: list[Receiver] = []
    try:
        for name in names:
            needed, starter = STARTERS[name]
            if shutil.which(needed) is None:
                print(f"{name} is not installed: left out")
                continue
            (folder / name).mkdir()
            receivers.append(starter(folder / name))
        yield receivers
    finally:
        stop(receivers)


def stop(receivers: Sequence[Receiver]) -> None:
    for receiver in receivers:
        receiver.process.send_signal(signal.SIGTERM)
    for receiver in receivers:
        with suppress(subprocess.TimeoutExpired):
            receiver.process.wait(30)


def processes_of(pid: int) -> list[int]:
    """Return a process and all below it."""
    children: list[int] = []
    with suppress(OSError):  # it has ended meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (task / "children").read_text().split())
    return [pid, *(below for child in children for below in processes_of(child))]


def processor_s(process: subprocess.Popen[bytes]) -> float:
    """Return the processor time of a program's processes, and of those that it has waited for."""
    ticks = 0
    for pid in processes_of(process.pid):
        with suppress(OSError):
            # The name, in brackets, may hold blanks; user and system, own and children's, follow later.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(each) for each in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_mb(process: subprocess.Popen[bytes]) -> float:
    """Return the resident memory of a program's processes together; what they share counts once."""
    total = 0
    for pid in processes_of(process.pid):
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total / 1024

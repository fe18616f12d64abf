"""Programs that a demonstration or a test runs on loopback: Orthanc, Redis, and our own node and worker."""

import contextlib
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

logger = logging.getLogger(__name__)

SYSTEM_PATH = os.pathsep.join(("/usr/sbin", "/usr/local/sbin", "/sbin"))
"""Where Debian keeps servers; not on every user's PATH."""


class ServerError(Exception):
    """A program could not be started or did not answer in time."""


def find_program(*names: str) -> str | None:
    """Return the path of the first of `names` that is installed."""
    path = os.pathsep.join((os.environ.get("PATH", ""), SYSTEM_PATH))
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def free_port() -> int:
    """Return a TCP port that is free now, and that no program is likely to be given before it is used.

    It lies below those that systems hand out of themselves, to connections that leave too (Linux from 32768).
    """
    while True:
        port = secrets.choice(range(15000, 32000))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port


@dataclass(slots=True, eq=False)
class Program:
    """One started program with its log file; stopped by `stop` or killed by `kill`."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it in a process group of its own, so that nothing of it outlives `kill`."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 (the command is ours, no shell)
                list(self.command),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONSAFEPATH": "1", **self.environment},
                start_new_session=True,
            )

    def wait_until(self, is_ready: Callable[[], bool], timeout_s: float = 60) -> None:
        """Wait for `is_ready`.

        Raises:
            ServerError: the program ended or the time is over; the message holds the end of its log.
        """
        deadline = time.monotonic() + timeout_s
        while not is_ready():
            ended = self.process is None or self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace")[-1500:]
                what = "ended" if ended else f"did not answer within {timeout_s:.0f} s"
                raise ServerError(f"{self.name} {what}; the end of its log:\n{tail}")
            time.sleep(0.1)

    def stop(self, timeout_s: float = 15) -> None:
        """Ask it to end; kill its group if it does not."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout_s)
        self.kill()

    def kill(self) -> None:
        """kill -9 of the whole process group."""
        if self.process is None:
            return
        self._signal(signal.SIGKILL)
        self.process.wait(10)

    def pause(self) -> None:
        """Have the whole process group stand still."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End a pause."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


def accepts_connections(port: int) -> bool:
    """Say whether something listens on loopback `port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True, slots=True)
class PeerEntry:
    """A DICOM system that Orthanc knows: PS3.8 AE title and TCP address."""

    ae_title: str
    port: int
    host: str = "127.0.0.1"


@dataclass(slots=True, eq=False)
class Orthanc:
    """A real Orthanc with an empty store of its own."""

    folder: Path
    peers: Mapping[str, PeerEntry] = field(default_factory=dict)
    lua: Path | None = None
    """A Lua script to load, e.g. an auto-routing rule."""
    ae_title: str = "ORTHANC"
    dicom_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    program: Program | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def start(self) -> None:
        """Start it and wait until both ports answer.

        Raises:
            ServerError: not installed, or it does not come up.
        """
        executable = find_program("Orthanc", "orthanc")
        if executable is None:
            raise ServerError("Orthanc is not installed (Debian: apt-get install orthanc)")
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "orthanc.json"
        configuration.write_text(json.dumps(self._configuration(), indent=1))
        self.program = Program(
            "Orthanc",
            [executable, str(configuration)],
            self.folder / "orthanc.log",
            # Without it DCMTK inside Orthanc waits 40 ms for every object (Nagle against delayed ACK).
            {"TCP_NODELAY": "1"},
        )
        self.program.start()
        self.program.wait_until(lambda: self._answers() and accepts_connections(self.dicom_port))

    def _configuration(self) -> dict[str, object]:
        plugins = [
            str(path)
            for folder in ("/usr/share/orthanc/plugins", "/usr/local/share/orthanc/plugins")
            if (path := Path(folder) / "libOrthancDicomWeb.so").exists()
        ]
        return {
            "Name": "medversa-node demonstration",
            "StorageDirectory": str(self.folder / "store"),
            "IndexDirectory": str(self.folder / "store"),
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": self.ae_title,
            "DicomPort": self.dicom_port,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomModalities": {
                name: [peer.ae_title, peer.host, peer.port] for name, peer in self.peers.items()
            },
            "DefaultEncoding": "Utf8",
            "OverwriteInstances": False,
            "StableAge": 3,
            "UnknownSopClassAccepted": True,
            "LuaScripts": [str(self.lua)] if self.lua else [],
            "Plugins": plugins,
            "Gdcm": {"Throttling": 1, "RestrictTransferSyntaxes": ["1.2.840.10008.1.2.4.90"]},
        }

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/system", timeout=2) as response:  # noqa: S310 (loopback)
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def start_redis(folder: Path) -> tuple[Program, str]:
    """Start an empty Redis on loopback; return it and its URL.

    Raises:
        ServerError: not installed, or it does not come up.
    """
    executable = find_program("redis-server")
    if executable is None:
        raise ServerError("Redis is not installed (Debian: apt-get install redis-server)")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    arguments = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", ""]
    program = Program("Redis", [executable, *arguments], folder / "redis.log")
    program.start()
    program.wait_until(lambda: accepts_connections(port))
    return program, f"redis://127.0.0.1:{port}/0"


def own_program(name: str, config: Path, log: Path, *arguments: str) -> Program:
    """Describe one of our own commands, run by this very interpreter: `serve` or `worker`."""
    command = [sys.executable, "-m", "dicom_node", name, "--config", str(config), *arguments]
    return Program(f"medversa-node {name}", command, log)


@contextlib.contextmanager
def stopping(programs: Sequence[Program]) -> Generator[None]:
    """Stop all programs in reverse order of their start on the way out."""
    try:
        yield
    finally:
        for program in reversed(programs):
            program.stop()

"""The node and an Orthanc as processes of their own, for tests that need the real thing."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from worker.demo.servers import free_port

ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}
PATIENCE_S = 120
PLUGINS = Path("/usr/share/orthanc/plugins")


def wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    status = process.poll()
    process.kill()
    process.wait()
    raise AssertionError(f"nothing listens on port {port}; exit status {status}")


def run(*command: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, env=ENVIRONMENT, timeout=timeout_s, check=False
    )


def children_of(pid: int) -> list[int]:
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has ended just now
            found += map(int, children.read_text().split())
    return sorted(found)


@dataclass
class NodeProcess:
    """`medversa-node serve` on a folder."""

    folder: Path
    extra: str = ""
    """More lines of node.toml."""
    quiet_period_s: float = 1
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.folder / "node.toml"

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> "NodeProcess":
        self.config.write_text(
            f"[node]\nport = {self.port}\nquiet_period_s = {self.quiet_period_s}\n"
            f'data_dir = "data"\n{self.extra}'
        )
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command("serve"), stdout=log, stderr=log, env=ENVIRONMENT)
        wait_until_listening(self.port, self.process)
        return self

    def command(self, name: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "dicom_node", name, "--config", str(self.config), *arguments]

    def status(self) -> dict[str, list[dict[str, object]]]:
        answer = run(*self.command("status", "--json"))
        assert answer.returncode == 0, answer.stderr
        found: dict[str, list[dict[str, object]]] = json.loads(answer.stdout)
        return found

    @property
    def receivers(self) -> list[int]:
        """Process ids of the receivers that run now."""
        assert self.process is not None
        return [pid for nursery in children_of(self.process.pid) for pid in children_of(nursery)]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def send(self, *paths: Path | str) -> subprocess.CompletedProcess[str]:
        """Send with DCMTK, each object in the transfer syntax in which it is."""
        address = ("-aec", "MEDVERSA", "127.0.0.1", str(self.port))
        return run("dcmsend", "--verbose", *address, *map(str, paths))


@dataclass
class OrthancProcess:
    """An Orthanc with an empty store that knows the node."""

    folder: Path
    node_port: int
    allow_get: bool = True
    plugins: tuple[str, ...] = ()
    """File names in Debian's folder of plugins; each runs with its defaults."""
    options: Mapping[str, object] = field(default_factory=dict)
    """More settings, by Orthanc's names."""
    port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> "OrthancProcess":
        executable = shutil.which("Orthanc")
        assert executable is not None
        address = {
            "AET": "MEDVERSA",
            "Host": "127.0.0.1",
            "Port": self.node_port,
        }
        settings = {
            "StorageDirectory": str(self.folder / "store"),
            "IndexDirectory": str(self.folder / "store"),
            "DicomAet": "ORTHANC",
            "DicomPort": self.port,
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": self.allow_get,
            "DicomAlwaysAllowMove": True,
            "DicomModalities": {"node": {**address, "AllowGet": self.allow_get}},
            "Plugins": [str(PLUGINS / name) for name in self.plugins],
            **self.options,
        }
        config = self.folder / "orthanc.json"
        config.write_text(json.dumps(settings))
        with (self.folder / "orthanc.log").open("ab") as log:
            self.process = subprocess.Popen(
                [executable, str(config)], stdout=log, stderr=log, env=ENVIRONMENT
            )
        wait_until_listening(self.port, self.process)
        wait_until_listening(self.http_port, self.process)
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(PATIENCE_S)


@dataclass
class DcmqrscpProcess:
    """DCMTK's archive with an empty store that knows the node."""

    folder: Path
    node_port: int
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def store(self) -> Path:
        return self.folder / "dcmqrscp"

    def start(self) -> "DcmqrscpProcess":
        self.store.mkdir()
        config = self.folder / "dcmqrscp.cfg"
        config.write_text(
            f"NetworkTCPPort = {self.port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
            f"HostTable BEGIN\nnode = (MEDVERSA, 127.0.0.1, {self.node_port})\nHostTable END\n"
            "VendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\nDCMQRSCP {self.store} RW (200, 1024mb) ANY\nAETable END\n"
        )
        with (self.folder / "dcmqrscp.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["dcmqrscp", "-c", str(config)], stdout=log, stderr=log, env=ENVIRONMENT
            )
        wait_until_listening(self.port, self.process)
        return self

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(PATIENCE_S)

"""A small hospital on loopback: an Orthanc, a broker, our node and our worker, all real programs."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from worker.demo.servers import (
    Orthanc,
    PeerEntry,
    Program,
    ServerError,
    accepts_connections,
    find_program,
    free_port,
    own_program,
    start_redis,
)

logger = logging.getLogger(__name__)

AE_TITLE = "MEDVERSA"


@dataclass(slots=True, eq=False)
class Site:
    """Starts and stops the programs; says what had to be replaced by an embedded default."""

    folder: Path
    quiet_period_s: float = 4
    lease_s: float = 30
    lua: Path | None = None
    """A Lua script for Orthanc, e.g. an auto-routing rule to peer `medversa`."""
    with_redis: bool = True
    with_orthanc: bool = True
    node_port: int = field(default_factory=free_port)
    orthanc: Orthanc | None = None
    node: Program | None = None
    worker: Program | None = None
    redis: Program | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "node.toml"

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def delivered(self) -> Path:
        """Where results go when there is no Orthanc."""
        return self.folder / "delivered"

    def start_servers(self) -> None:
        """Start Orthanc and Redis, or note what serves in their place, and write the node's configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        broker_url: str | None = None
        if self.with_redis and find_program("redis-server"):
            self.redis, broker_url = start_redis(self.folder / "redis")
        else:
            self.notes.append("Redis is not installed: the embedded queue (a folder) serves instead.")
        if self.with_orthanc and find_program("Orthanc", "orthanc"):
            peers = {"medversa": PeerEntry(AE_TITLE, self.node_port)}
            self.orthanc = Orthanc(self.folder / "orthanc", peers, self.lua)
            self.orthanc.start()
        else:
            self.notes.append("Orthanc is not installed: results are delivered to a folder instead.")
        self.config.write_text(self._toml(broker_url))

    def start_node(self) -> None:
        """Start `medversa-node serve` and wait for its port.

        Raises:
            ServerError: it does not come up.
        """
        self.node = own_program("serve", self.config, self.folder / "node.log")
        self.node.start()
        self.node.wait_until(lambda: accepts_connections(self.node_port))

    def start_worker(self) -> None:
        """Start `medversa-node worker` and wait until Celery says that it is ready.

        Raises:
            ServerError: it does not come up.
        """
        log = self.folder / "worker.log"
        seen = log.stat().st_size if log.exists() else 0
        self.worker = own_program("worker", self.config, log)
        self.worker.start()
        self.worker.wait_until(lambda: b" ready." in log.read_bytes()[seen:], timeout_s=120)

    def start(self) -> None:
        """Start everything; stop what was started if something does not come up."""
        try:
            self.start_servers()
            self.start_node()
            self.start_worker()
        except ServerError:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything, ours first."""
        orthanc = self.orthanc.program if self.orthanc else None
        for program in (self.worker, self.node, orthanc, self.redis):
            if program is not None:
                program.stop()

    def _toml(self, broker_url: str | None) -> str:
        lines = [
            "[node]",
            f'ae_title = "{AE_TITLE}"',
            f"port = {self.node_port}",
            f'data_dir = "{self.data_dir}"',
            f"quiet_period_s = {self.quiet_period_s}",
            "[worker]",
            f"lease_s = {self.lease_s}",
        ]
        if broker_url:
            lines += ["[broker]", f'url = "{broker_url}"']
        if self.orthanc is None:
            lines += [
                "[[destinations]]",
                'name = "folder"',
                'kind = "folder"',
                f'folder = "{self.delivered}"',
            ]
        else:
            address = [
                'name = "Orthanc"',
                f'ae_title = "{self.orthanc.ae_title}"',
                'host = "127.0.0.1"',
                f"port = {self.orthanc.dicom_port}",
            ]
            lines += ["[[destinations]]", 'kind = "dicom"', *address, "[[query_retrieve]]", *address]
        return "\n".join(lines) + "\n"

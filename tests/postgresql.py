"""A throw-away PostgreSQL on loopback, for tests of what an index in it does."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from worker.demo.servers import Program, ServerError, free_port

DEBIAN = "/usr/lib/postgresql"
USER = "medversa"
PROTOCOL = "postgresql+psycopg"
START_TRIES = 5


def find_binaries() -> Path | None:
    """Return the folder of the newest PostgreSQL that is installed."""
    found = sorted(Path(DEBIAN).glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("postgres")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@dataclass(slots=True, eq=False)
class PostgresServer:
    """One cluster in a folder of its own; `durable` as in production, else fast."""

    binaries: Path
    durable: bool = True
    port: int = field(default_factory=free_port)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="medversa-postgresql-")))
    program: Program | None = None

    def make(self) -> None:
        """Make the cluster; whoever is root hands it to somebody else, as PostgreSQL wants."""
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        initdb = [str(self.binaries / "initdb"), "-D", str(self.cluster), "-U", USER, "-A", "trust"]
        initdb += ["-E", "UTF8", "--no-locale", "--no-sync"]
        subprocess.run([*self._as_somebody(), *initdb], check=True, capture_output=True, cwd="/")

    @property
    def cluster(self) -> Path:
        return self.folder / "cluster"

    def _as_somebody(self) -> Sequence[str]:
        return ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups") if os.geteuid() == 0 else ()

    def start(self) -> None:
        """Start the server and wait until it answers; after `kill` its children may need a moment to end."""
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": ""}
        if not self.durable:
            settings |= {"fsync": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [*self._as_somebody(), str(self.binaries / "postgres"), "-D", str(self.cluster), *options]
        self.program = Program("PostgreSQL", command, self.folder / "log")
        for left in reversed(range(START_TRIES)):
            self.program.start()
            try:
                self.program.wait_until(self._answers)
            except ServerError:
                if not left:
                    raise
            else:
                return

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._address("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _address(self, database: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def new_database(self, name: str) -> str:
        """Make a database; return its SQLAlchemy URL."""
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self._address(name).replace("postgresql", PROTOCOL, 1)

    def empty(self, name: str) -> None:
        """Remove everything from a database."""
        with psycopg.connect(self._address(name), autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")

    def restart(self) -> None:
        """Stop as an administrator does, who does not wait for clients, and start again."""
        self.stop()
        self.start()

    def stop(self) -> None:
        assert self.program is not None
        assert self.program.process is not None
        self.program.process.send_signal(signal.SIGINT)
        self.program.process.wait(60)

    def kill(self) -> None:
        assert self.program is not None
        self.program.kill()

    def remove(self) -> None:
        """End the server and remove the cluster."""
        if self.program is not None:
            self.stop()
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder)

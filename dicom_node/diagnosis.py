"""The command `doctor`: one check per line, each with what to do about it."""

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from kombu.connection import Connection
from kombu.exceptions import KombuError, OperationalError
from rich.console import Console

from dicom_node.database.engine import open_database
from dicom_node.errors import NodeError, RefusedError
from dicom_node.scu import Peer, echo
from dicom_node.settings import NodeSettings

GIBIBYTE = 1 << 30
ENOUGH_FREE_BYTES = 5 * GIBIBYTE
TOOLS = {"storescu": "dcmtk", "dcmdump": "dcmtk", "dciodvfy": "dicom3tools"}
"""Programs that help an operator, and the Debian packages that bring them."""


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    name: str
    is_ok: bool
    detail: str
    what_to_do: str = ""
    is_needed: bool = True
    """Whether the node cannot work without it."""


def run_doctor(settings: NodeSettings) -> int:
    """Print every check; return 1 if something needed fails."""
    console = Console(soft_wrap=True, highlight=False)
    failed = False
    for check in checks(settings):
        mark = "ok      " if check.is_ok else "MISSING " if check.is_needed else "warning "
        console.print(f"{mark}{check.name}: {check.detail}", markup=False)
        if not check.is_ok:
            console.print(f"        -> {check.what_to_do}", markup=False)
            failed = failed or check.is_needed
    return int(failed)


def checks(settings: NodeSettings) -> Iterator[Check]:
    """Make all checks, cheap ones first."""
    yield _data_dir(settings)
    yield _disk(settings)
    yield _database(settings)
    yield _broker(settings)
    yield _port(settings)
    yield _weights(settings)
    for destination in settings.destinations:
        if destination.kind == "dicom":
            yield _peer(destination)
        elif destination.folder is not None:
            yield _folder(destination.name, destination.folder)
    for peer in settings.query_retrieve:
        yield _peer(peer)
    if not settings.destinations:
        yield Check(
            "destinations", False, "none", "add [[destinations]]: results stay in data_dir", is_needed=False
        )
    for program, package in TOOLS.items():
        found = shutil.which(program)
        yield Check(
            program, found is not None, found or "not found", f"apt-get install {package}", is_needed=False
        )


def _data_dir(settings: NodeSettings) -> Check:
    folder = settings.node.data_dir
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    is_ok = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    return Check("data folder", is_ok, str(folder), f"make {existing} writable, or set node.data_dir")


def _disk(settings: NodeSettings) -> Check:
    folder = settings.node.data_dir
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / GIBIBYTE:.1f} GiB free"
    is_ok = free > max(ENOUGH_FREE_BYTES, settings.node.min_free_bytes)
    is_needed = free <= settings.node.min_free_bytes
    return Check("disk", is_ok, detail, "free some space, or move node.data_dir", is_needed=is_needed)


def _database(settings: NodeSettings) -> Check:
    url = settings.node.database_url
    if url.startswith("sqlite") and not settings.node.data_dir.exists():
        return Check("database", True, "SQLite, made at the first start")
    try:
        database = open_database(url)
    except NodeError as exc:
        return Check("database", False, str(exc), "correct node.database_url or start the server")
    count = len(database.studies.all())
    database.close()
    return Check("database", True, f"{url.split(':')[0]}, {count} studies")


def _broker(settings: NodeSettings) -> Check:
    url = settings.broker.url
    if not url:
        return Check("broker", True, "none configured: folders in data_dir serve as the queue")
    try:
        with Connection(url, connect_timeout=3) as connection:
            connection.ensure_connection(max_retries=1, timeout=3)
    except (OperationalError, KombuError, OSError, ImportError, KeyError) as exc:
        return Check(
            "broker", False, type(exc).__name__, "start it (e.g. redis-server) or correct broker.url"
        )
    return Check("broker", True, url.split("@")[-1])


def _port(settings: NodeSettings) -> Check:
    host, port = settings.node.host, settings.node.port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            detail = f"{host}:{port}: {exc.strerror}"
            what = "fine if `medversa-node serve` is running; else choose another node.port"
            return Check("port", False, detail, what, is_needed=False)
    return Check("port", True, f"{host}:{port} is free")


def _weights(settings: NodeSettings) -> Check:
    """Look for files only: this command must not load torch."""
    name = settings.worker.weights
    folders = [Path(name), *_shipped(name)]
    found = [file for folder in folders for file in sorted(folder.rglob("*.safetensors"))]
    detail = str(found[0].parent) if found else f"{name} not found"
    return Check("weights", bool(found), detail, "run `medversa-node weights info`, or set worker.weights")


def _shipped(name: str) -> Iterator[Path]:
    """Find the folder of weights that came with the program under a name."""
    spec = find_spec("model")
    for place in (spec.submodule_search_locations if spec is not None else None) or ():
        for file in Path(place).glob("families/*/config.json"):
            if json.loads(file.read_text(encoding="utf-8")).get("name") == name:
                yield file.parent


def _folder(name: str, folder: Path) -> Check:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    is_ok = os.access(existing, os.W_OK | os.X_OK)
    return Check(f"destination {name}", is_ok, str(folder), f"make {existing} writable")


def _peer(peer: Peer, ask: Callable[[Peer], None] = echo) -> Check:
    name = f"peer {peer.name}"
    try:
        ask(peer)
    except RefusedError as exc:
        return Check(
            name, False, str(exc), "look into the peer's log: it must accept C-ECHO from our AE title"
        )
    except NodeError as exc:
        what = f"start it, check its address, and register {peer.calling_ae_title} there"
        return Check(name, False, str(exc), what)
    return Check(name, True, f"{peer.ae_title} at {peer.host}:{peer.port} answers C-ECHO")

"""Checks of the machine itself: folders, disk, index, broker, port, weights, programs."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from kombu.connection import Connection
from kombu.exceptions import KombuError, OperationalError
from redis.exceptions import AuthenticationError

from dicom_node.database.engine import open_database
from dicom_node.diagnosis.faults import Check, Fault, faulty, fine
from dicom_node.errors import NodeError
from dicom_node.settings import NodeSettings

GIBIBYTE = 1 << 30
ENOUGH_FREE_BYTES = 5 * GIBIBYTE
BROKER_TIMEOUT_S = 3
TOOLS = {"storescu": "dcmtk", "dcmdump": "dcmtk", "dciodvfy": "dicom3tools"}
"""Programs that help an operator, and the Debian packages that bring them."""


def machine_checks(settings: NodeSettings) -> Iterator[Check]:
    """Check what the node itself stands on, cheap ones first."""
    yield folder_check("data folder", settings.node.data_dir)
    yield _disk(settings)
    yield _database(settings)
    yield _broker(settings)
    yield _port(settings)
    yield _weights(settings)


def tool_checks() -> Iterator[Check]:
    """Check for programs that help operators."""
    for program, package in TOOLS.items():
        found = shutil.which(program)
        if found is None:
            yield faulty(program, Fault.TOOL_MISSING, is_needed=False, package=package)
        else:
            yield fine(program, found)


def folder_check(name: str, folder: Path) -> Check:
    """Check that a folder can be written, or made."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return fine(name, str(folder))
    return faulty(name, Fault.FOLDER, str(folder), folder=existing)


def _disk(settings: NodeSettings) -> Check:
    folder = settings.node.data_dir
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / GIBIBYTE:.1f} GiB free"
    if free > max(ENOUGH_FREE_BYTES, settings.node.min_free_bytes, settings.node.low_free_bytes):
        return fine("disk", detail)
    return faulty("disk", Fault.DISK_LOW, detail, is_needed=free <= settings.node.min_free_bytes)


def _database(settings: NodeSettings) -> Check:
    url = settings.node.database_url
    if url.startswith("sqlite") and not settings.node.data_dir.exists():
        return fine("database", "SQLite, made at the first start")
    try:
        database = open_database(url)
    except NodeError as exc:
        return faulty("database", Fault.DATABASE, str(exc))
    count = len(database.studies.all())
    database.close()
    return fine("database", f"{url.split(':')[0]}, {count} studies")


def _broker(settings: NodeSettings) -> Check:
    url = settings.broker.url
    if not url:
        return fine("broker", "none configured: folders in data_dir serve as the queue")
    try:
        with Connection(url, connect_timeout=BROKER_TIMEOUT_S) as connection:
            connection.ensure_connection(max_retries=1, timeout=BROKER_TIMEOUT_S)
    except (OperationalError, KombuError, OSError) as exc:
        # The message of the driver may quote the URL with its password: only kinds are told.
        is_locked_out = isinstance(exc.__cause__, AuthenticationError)
        fault = Fault.BROKER_PASSWORD if is_locked_out else Fault.BROKER_AWAY
        return faulty("broker", fault, type(exc.__cause__ or exc).__name__)
    except (ImportError, KeyError) as exc:
        return faulty("broker", Fault.BROKER_URL, type(exc).__name__)
    return fine("broker", url.split("@")[-1])


def _port(settings: NodeSettings) -> Check:
    host, port = settings.node.host, settings.node.port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            detail = f"{host}:{port}: {exc.strerror}"
            return faulty("port", Fault.PORT_TAKEN, detail, is_needed=False)
    return fine("port", f"{host}:{port} is free")


def _weights(settings: NodeSettings) -> Check:
    """Look for files only: this command must not load torch."""
    name = settings.worker.weights
    folders = [Path(name), *_shipped(name)]
    found = [file for folder in folders for file in sorted(folder.rglob("*.safetensors"))]
    if found:
        return fine("weights", str(found[0].parent))
    return faulty("weights", Fault.WEIGHTS_MISSING, f"{name} not found")


def _shipped(name: str) -> Iterator[Path]:
    """Find the folder of weights that came with the program under a name."""
    spec = find_spec("model")
    for place in (spec.submodule_search_locations if spec is not None else None) or ():
        for file in Path(place).glob("families/*/config.json"):
            if json.loads(file.read_text(encoding="utf-8")).get("name") == name:
                yield file.parent

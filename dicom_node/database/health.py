"""Whether an index can be trusted before anything is answered from it."""

import sqlite3
import time
from pathlib import Path

from sqlalchemy import make_url

from dicom_node.errors import IndexDamagedError

REMEDY = (
    "restore a backup, or run `medversa-node rebuild-index`, which indexes the stored images "
    "and forgets jobs and decisions"
)


def file_of(url: str) -> Path | None:
    """Return the file of a SQLite index; None if it lies elsewhere."""
    parsed = make_url(url)
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:")
    return Path(str(parsed.database)) if is_file else None


def check_index(url: str, images: Path) -> None:
    """Refuse an index that is damaged, emptied, or gone while `images` has files; PostgreSQL checks its own.

    Raises:
        IndexDamagedError: with what to do.
    """
    path = file_of(url)
    if path is None:
        return
    if not path.exists():
        if any(image.stat().st_size for image in images.rglob("*.dcm")):
            raise IndexDamagedError(f"the index {path} is gone: {REMEDY}")
        return
    if not path.stat().st_size:
        raise IndexDamagedError(f"the index {path} is empty: {REMEDY}")
    if not _is_sound(path):
        raise IndexDamagedError(f"the index {path} is damaged: {REMEDY}")


def _is_sound(path: Path) -> bool:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.OperationalError:
        return True  # locked or without space: not for us to judge, whoever uses it will say so
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()


def set_aside(url: str) -> Path | None:
    """Rename the files of a damaged SQLite index; return the new name, None if there is nothing to rename."""
    path = file_of(url)
    if path is None or not path.exists():
        return None
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside

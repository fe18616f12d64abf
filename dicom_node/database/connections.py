"""Connections to the index: short reads, and writes that are durable when they return."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from dicom_node.errors import IndexAwayError, StorageError

BUSY_TIMEOUT_MS = 10_000
"""How long a SQLite writer waits for another one; the caller then gets a StorageError."""

CHECKPOINT_PAGES = 8000
"""Pages (32 MB) after which the log is written back into the database: some syncs, so not too often."""

READING = {"medversa_reading": True}
"""Execution option of connections that never write: on SQLite they begin no transaction."""

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Connections:
    """An engine and a clock; every repository holds one."""

    engine: Engine
    now: Clock = utc_now

    @contextmanager
    def reading(self) -> Generator[Connection, None, None]:
        """Open one connection on which each statement sees the latest committed state."""
        try:
            with self.engine.connect().execution_options(**READING) as connection:
                yield connection
        except SQLAlchemyError as exc:
            raise _storage_error(exc) from exc

    @contextmanager
    def writing(self) -> Generator[Connection, None, None]:
        """Open one transaction; committed and on stable storage on the way out, rolled back on an error.

        On SQLite it holds the write lock from the start, so what it reads stays true until it commits.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except SQLAlchemyError as exc:
            raise _storage_error(exc) from exc


def _storage_error(exc: SQLAlchemyError) -> StorageError:
    # The message of the driver may quote bound values, i.e. patient data: only its type goes on.
    kind = IndexAwayError if isinstance(exc, OperationalError) else StorageError
    return kind(f"the index could not be used ({type(exc).__name__})")


def connect(url: str) -> Engine:
    """Make an engine; SQLite in WAL mode with every commit synced to disk."""
    engine = create_engine(url, hide_parameters=True, pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    return engine


def _set_up_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # BEGIN is ours, see below
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        f"wal_autocheckpoint={CHECKPOINT_PAGES}",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    if not connection.get_execution_options().keys() >= READING.keys():
        # A deferred BEGIN would fail, not wait, when a read transaction wants to write.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

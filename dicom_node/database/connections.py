"""Connections to the index: short reads, and writes that are durable when they return."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from dicom_node.errors import IndexAwayError, StorageError

BUSY_TIMEOUT_MS = 4_000
"""How long a writer waits for another one; the caller then gets a StorageError.

Who asks while a group waits in vain waits with the next one: within 10 s every sender has its answer.
"""
IDLE_TIMEOUT_MS = 10_000

WRITER_LOCK = 0x6D65647665727361
"""Key of the advisory lock that the one writer of a PostgreSQL index holds."""

POSTGRESQL_OPTIONS = {
    "synchronous_commit": "on",
    "lock_timeout": f"{BUSY_TIMEOUT_MS}",
    # A writer that was stopped within a transaction, or whose machine is gone, gives way to the next one.
    "idle_in_transaction_session_timeout": f"{IDLE_TIMEOUT_MS}",
}
POSTGRESQL_CONNECTION = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "options": " ".join(f"-c {name}={value}" for name, value in POSTGRESQL_OPTIONS.items()),
}

CHECKPOINT_PAGES = 2000
"""Pages (8 MB) after which the log is written back into the database: some syncs, so not too often; but until
then the log grows, and to sync a file that grows takes half as long again."""

TO_BE_THE_WRITER = {
    # A deferred BEGIN would fail, not wait, when a read transaction wants to write.
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": f"SELECT pg_advisory_xact_lock({WRITER_LOCK})",
}
"""How a transaction that writes begins; one that reads begins none on SQLite.

Not by an event of the engine: one listener has the library look for listeners at every statement.
"""

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
            with self.engine.connect() as connection:
                yield connection
        except SQLAlchemyError as exc:
            raise _storage_error(exc) from exc

    @contextmanager
    def writing(self) -> Generator[Connection, None, None]:
        """Open one transaction; committed and on stable storage on the way out, rolled back on an error.

        There is one writer at a time from the start, so what it reads stays true until it commits.
        """
        try:
            with self.engine.begin() as connection:
                connection.exec_driver_sql(TO_BE_THE_WRITER[self.engine.dialect.name])
                yield connection
        except SQLAlchemyError as exc:
            raise _storage_error(exc) from exc


@dataclass(frozen=True, slots=True)
class OneWriter(Connections):
    """The connections of a thread that writes all the time: it keeps one, and the driver begins and commits.

    What SQLAlchemy does around a transaction takes longer than a small transaction itself.
    """

    _kept: list[Connection] = field(default_factory=list)

    @contextmanager
    def writing(self) -> Generator[Connection, None, None]:
        """As `Connections.writing`; from that one thread."""
        is_committed = False
        try:
            connection = self._begun()
            yield connection
            with by_driver(connection) as cursor:
                cursor.connection.commit()
            if connection.in_transaction():
                connection.commit()  # for what went by SQLAlchemy, nothing is left to do
            is_committed = True
        except SQLAlchemyError as exc:
            raise _storage_error(exc) from exc
        finally:
            if not is_committed:
                self.close()

    def close(self) -> None:
        """Give the connection back, and what it has not committed up."""
        while self._kept:
            self._kept.pop().close()

    def _begun(self) -> Connection:
        if self._kept:
            try:
                return self._begin(self._kept[0])
            except DBAPIError as exc:
                if not exc.connection_invalidated:
                    raise
                self.close()  # its server was started again since
        self._kept.append(self.engine.connect())
        return self._begin(self._kept[0])

    def _begin(self, connection: Connection) -> Connection:
        with by_driver(connection) as cursor:
            cursor.execute(TO_BE_THE_WRITER[self.engine.dialect.name])
        return connection


@contextmanager
def by_driver(connection: Connection) -> Generator[Any, None, None]:
    """Give the driver's own cursor on a connection; its errors become the library's."""
    dialect = connection.dialect
    driver = dialect.loaded_dbapi
    cursor = connection.connection.cursor()
    try:
        yield cursor
    except driver.Error as exc:
        is_lost = dialect.is_disconnect(exc, connection.connection, cursor)
        if is_lost:
            connection.invalidate(exc)
        raise DBAPIError.instance(
            None, None, exc, driver.Error, connection_invalidated=is_lost, dialect=dialect
        ) from exc
    finally:
        cursor.close()


def _storage_error(exc: SQLAlchemyError) -> StorageError:
    # The message of the driver may quote bound values, i.e. patient data: only its type goes on.
    kind = IndexAwayError if isinstance(exc, (OperationalError, InterfaceError)) else StorageError
    return kind(f"the index could not be used ({type(exc).__name__})")


def connect(url: str) -> Engine:
    """Make an engine for SQLite or PostgreSQL on which a commit is on stable storage when it returns.

    Raises:
        StorageError: it is neither, or its driver is not installed.
    """
    try:
        dialect = make_url(url).get_backend_name()
        is_sqlite = dialect == "sqlite"
        arguments = {} if is_sqlite else POSTGRESQL_CONNECTION
        if dialect not in ("sqlite", "postgresql"):
            raise StorageError(f"the index lies in SQLite or PostgreSQL, not in {dialect}")
        engine = create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=not is_sqlite,
            connect_args=arguments,
            paramstyle="named" if is_sqlite else "pyformat",
        )
    except ModuleNotFoundError as exc:
        raise StorageError(f"{exc.name} is not installed: pip install medversa-node[postgresql]") from exc
    except SQLAlchemyError as exc:
        raise _storage_error(exc) from exc
    if is_sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # BEGIN is ours
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

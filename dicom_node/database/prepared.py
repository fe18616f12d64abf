"""Statements of the way that every received instance takes, run by the driver itself.

What SQLAlchemy does around an execution takes longer than SQLite's own part, and its code drives that of the
receivers out of the processor's caches. Statements, types and errors stay SQLAlchemy's.
"""

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Select, Update

from dicom_node.database.connections import by_driver

Statement = Select[Any] | Insert | Update


class Prepared:
    """One statement with named parameters; values are bound and read as the types of its columns say."""

    def __init__(self, statement: Statement, columns: Sequence[str] | None = None) -> None:
        """Prepare a statement; `columns` are those to which an INSERT gives values."""
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    def write(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for each of `rows`."""
        if rows:
            self._for(connection.dialect).write(connection, rows)

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> list[SimpleNamespace]:
        """Return what it selects, each row with an attribute for every column."""
        return self._for(connection.dialect).rows(connection, parameters)

    def _for(self, dialect: Dialect) -> "_Compiled":
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = _Compiled(self._statement, self._columns, dialect)
        return found


class _Compiled:
    """The text of a statement in one dialect, and what becomes of its values."""

    def __init__(self, statement: Statement, columns: Sequence[str] | None, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        self._text = str(compiled)
        self._binders: dict[str, Callable[[Any], Any] | None] = {}
        self._constants: dict[str, Any] = {}
        for parameter, name in compiled.bind_names.items():
            bind = parameter.type.dialect_impl(dialect).bind_processor(dialect)
            if parameter.required:
                self._binders[name] = bind
            else:
                self._constants[name] = parameter.value if bind is None else bind(parameter.value)
        selected = list(statement.selected_columns) if isinstance(statement, Select) else []
        self._readers = [
            (str(column.key), column.type.dialect_impl(dialect).result_processor(dialect, None))
            for column in selected
        ]

    def write(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        with by_driver(connection) as cursor:
            cursor.executemany(self._text, [self._bound(row) for row in rows])

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> list[SimpleNamespace]:
        with by_driver(connection) as cursor:
            cursor.execute(self._text, self._bound(parameters))
            return [self._read(row) for row in cursor.fetchall()]

    def _bound(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return self._constants | {
            name: values[name] if bind is None else bind(values[name]) for name, bind in self._binders.items()
        }

    def _read(self, row: Sequence[Any]) -> SimpleNamespace:
        columns = zip(self._readers, row, strict=True)
        return SimpleNamespace(
            **{name: value if process is None else process(value) for (name, process), value in columns}
        )

"""Reads published tables row by row, and single rows again by their place."""

import csv
import gzip
import re
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from model.errors import DatasetError, RowError

_LONGEST_CELL = 2**26
"""Characters; the run lengths of a large mask are long."""

_AGE = re.compile(r"(\d+(?:\.\d+)?)Y?")
_OLDEST = 110


@dataclass(frozen=True, slots=True)
class Row:
    """One row by the names of its columns."""

    cells: Mapping[str, str]
    start: int
    """Where it begins in its uncompressed file, in bytes."""

    def __getitem__(self, column: str) -> str:
        """Return a cell without blanks around it; empty where the row or the table lacks the column."""
        return self.cells.get(column, "").strip()

    def number(self, column: str) -> float | None:
        """Read a number; None where the cell is empty, `nan` or `unknown`.

        Raises:
            RowError: it is something else.
        """
        text = self[column]
        if text.lower() in ("", "nan", "unknown"):
            return None
        try:
            return float(text)
        except ValueError:
            raise RowError(f"{column} is no number") from None

    def years(self, column: str) -> float | None:
        """Read an age: years, or DICOM's `058Y`; None where it is nothing that a person can have, or 0."""
        found = _AGE.fullmatch(self[column])
        years = float(found[1]) if found else 0
        return years if 0 < years <= _OLDEST else None


class Table:
    """A file of comma or tab separated cells below a row of names, gzipped or plain, in UTF-8."""

    def __init__(self, path: Path, needed: Iterable[str] = ()) -> None:
        """Read the names of the columns.

        Raises:
            DatasetError: the file is missing, damaged or no table, or lacks a needed column.
        """
        self.path = path
        csv.field_size_limit(_LONGEST_CELL)
        with self._opened() as file:
            first = _decoded(next(iter(file), b"")).removeprefix("\ufeff")
            self._first_row = file.tell()
        self._delimiter = "\t" if "\t" in first else ","
        self.columns = [name.strip() for name in next(csv.reader([first], delimiter=self._delimiter), [])]
        if absent := [name for name in needed if name not in self.columns]:
            raise DatasetError(f"{path.name} has no column {', '.join(absent)}")

    def __iter__(self) -> Iterator[Row]:
        """Yield every row but blank ones.

        Raises:
            DatasetError: the file is damaged.
        """
        yield from self._from(self._first_row)

    def row_at(self, start: int) -> Row:
        """Read one row again.

        Raises:
            DatasetError: the file has changed since.
        """
        for row in self._from(start):
            return row
        raise DatasetError(f"{self.path.name} has become shorter")

    def _from(self, start: int) -> Iterator[Row]:
        with self._opened() as file:
            file.seek(start)
            lines = _Lines(file, start)
            for cells in csv.reader(lines, delimiter=self._delimiter):
                if any(cells):
                    yield Row(dict(zip(self.columns, cells, strict=False)), start)
                start = lines.position

    @contextmanager
    def _opened(self) -> Generator[BinaryIO]:
        if not self.path.is_file():
            raise DatasetError(f"{self.path.name} is missing")
        try:
            with gzip.open(self.path) if self.path.suffix == ".gz" else self.path.open("rb") as file:
                yield cast(BinaryIO, file)  # GzipFile has all of it, and declares less.
        except (EOFError, OSError, csv.Error, zlib.error) as exc:
            raise DatasetError(f"{self.path.name} is damaged") from exc


class _Lines:
    """Decodes lines and knows how far it has read."""

    def __init__(self, file: BinaryIO, position: int) -> None:
        self._file = file
        self.position = position

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._file)
        self.position += len(line)
        return _decoded(line)


def _decoded(line: bytes) -> str:
    return line.decode("utf-8", errors="replace")

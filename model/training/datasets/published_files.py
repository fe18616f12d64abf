"""Finds the files that a record needs in a download, and names those that are not there."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from model.errors import RowError
from model.training.datasets.dataset_reader import Missing
from model.training.datasets.downloads import problem_of


def first_existing(source: Path, names: Sequence[str]) -> str:
    """Return the first of several names, relative to `source`, that is there; else the first."""
    return next((name for name in names if (source / name).exists()), names[0])


def require(source: Path, path: str) -> str:
    """Return a file's path relative to `source`, which a record needs.

    Raises:
        RowError: it is missing or not whole.
    """
    if problem := _problem(source / path):
        raise RowError(f"a file of it is {problem}")
    return path


def missing(source: Path, path: str, get_from: str) -> Iterator[Missing]:
    """Name one file if it is missing or not whole."""
    if problem := _problem(source / path):
        yield Missing(path, problem, get_from)


def _problem(path: Path) -> str | None:
    """As `problem_of`, which reads a gzipped scan to its end; one that has not changed is read once."""
    if not path.is_file():
        return "missing"
    status = path.stat()
    return _problem_of_unchanged(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1 << 16)
def _problem_of_unchanged(path: Path, size: int, changed_ns: int) -> str | None:
    return problem_of(path)

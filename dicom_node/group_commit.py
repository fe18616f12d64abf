"""Group commit: what several threads want made durable at one time is made durable in one go."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from dicom_node.errors import NodeError, StorageError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True, eq=False)
class _Entry(Generic[T, R]):
    item: T
    result: R | None = None
    error: NodeError | None = None
    is_done: bool = False


class GroupCommit(Generic[T, R]):
    """Leader and followers without a thread of their own.

    Whoever gets the lock first commits everything that waits; the others find their entry done. A lone caller
    pays nothing for it. Results are never None. If the commit of a group fails, every member of the group
    gets the error.
    """

    def __init__(self, commit: Callable[[Sequence[T]], Sequence[R]], most: int = 64) -> None:
        self._commit = commit
        self._most = most
        self._waiting: list[_Entry[T, R]] = []
        self._waiting_lock = threading.Lock()
        self._commit_lock = threading.Lock()

    def __call__(self, item: T) -> R:
        """Return what the commit returned for `item`, or raise what it raised."""
        entry: _Entry[T, R] = _Entry(item)
        with self._waiting_lock:
            self._waiting.append(entry)
        with self._commit_lock:
            while not entry.is_done:
                self._lead()
        if entry.error is not None:
            raise entry.error
        assert entry.result is not None  # noqa: S101 - else there is an error
        return entry.result

    def _lead(self) -> None:
        with self._waiting_lock:
            group = self._waiting[: self._most]
            del self._waiting[: self._most]
        error: NodeError = StorageError("a group could not be committed")
        try:
            for entry, result in zip(group, self._commit([entry.item for entry in group]), strict=True):
                entry.result = result
        except NodeError as exc:
            error = exc
        finally:
            for entry in group:
                entry.error = error if entry.result is None else None
                entry.is_done = True

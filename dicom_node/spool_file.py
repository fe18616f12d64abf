"""A file that is written once, in big pieces and past the page cache.

What is received is read again once, if at all. To find pages for it, copy it there and write it back from
them is most of what storing an image costs a processor, and drives out of memory what is read more often.
"""

import errno
import fcntl
import mmap
import os
from pathlib import Path
from typing import Final

BUFFER_BYTES: Final = 1 << 20
BLOCK_BYTES: Final = 4096
"""Place and length of what goes past the page cache are multiples of it, on the disks that there are."""
MOST_IDLE: Final = 16
_DIRECT: Final = getattr(os, "O_DIRECT", 0)

_idle: list[memoryview] = []
"""Buffers to be used again: a new one costs a fault for each of its pages."""


class SpoolFile:
    """One file being written; nothing points to it before it is synced."""

    def __init__(self, path: Path) -> None:
        """Write to a file that is there and empty.

        Raises:
            OSError: it cannot be opened.
        """
        self.path = path
        self.size = 0
        self._on_disk = 0
        """Bytes that have left the buffer: always whole buffers."""
        self._buffer = _take_buffer()
        self._descriptor, self._is_direct = _open(path)

    def room(self, most: int) -> memoryview:
        """Return where the next bytes go, at most `most` of them and never none; `advance` counts them in."""
        at = self.size - self._on_disk
        return self._buffer[at : at + most]

    def advance(self, count: int) -> None:
        """Count the first bytes of `room` as written."""
        self.size += count
        if self.size - self._on_disk == BUFFER_BYTES:
            self._put(self._buffer)
            self._on_disk = self.size

    def write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        while len(view):
            room = self.room(len(view))
            room[:] = view[: len(room)]
            view = view[len(room) :]
            self.advance(len(room))

    def write_at(self, offset: int, data: bytes) -> None:
        """Change what was written before, on one side of the border of a buffer."""
        at = offset - self._on_disk
        if at >= 0:
            self._buffer[at : at + len(data)] = data
            return
        cached = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(cached, data, offset)
        finally:
            os.close(cached)

    def read_at(self, offset: int, length: int) -> bytes:
        on_disk = b""
        if offset < self._on_disk:
            on_disk = self._read_disk(offset, min(length, self._on_disk - offset))
        at = offset + len(on_disk) - self._on_disk
        return on_disk + bytes(self._buffer[at : min(at + length - len(on_disk), self.size - self._on_disk)])

    def _read_disk(self, offset: int, length: int) -> bytes:
        cached = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(cached, length, offset)
        finally:
            os.close(cached)

    def sync(self) -> None:
        """Make the content durable and close the file.

        Raises:
            OSError: that failed, or the file has no name any more: it was swept while its writer was stopped.
        """
        left = self.size - self._on_disk
        whole = left - left % BLOCK_BYTES
        self._put(self._buffer[:whole])
        if whole < left:
            self._go_through_cache()
            self._put(self._buffer[whole:left])
        os.fsync(self._descriptor)
        if not os.fstat(self._descriptor).st_nlink:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        self.close()

    def _put(self, view: memoryview) -> None:
        while len(view):
            try:
                view = view[os.write(self._descriptor, view) :]
            except OSError as exc:
                if exc.errno != errno.EINVAL or not self._go_through_cache():
                    raise

    def _go_through_cache(self) -> bool:
        """Write what follows as any file is written; False if that was so already."""
        was_direct, self._is_direct = self._is_direct, False
        if was_direct:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, 0)
        return was_direct

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            if len(_idle) < MOST_IDLE:
                _idle.append(self._buffer)
            self._buffer = memoryview(b"")

    def discard(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)


def _open(path: Path) -> tuple[int, bool]:
    """Return a descriptor, and whether what is written to it goes past the page cache."""
    flags = os.O_WRONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags | _DIRECT), bool(_DIRECT)
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise
        return os.open(path, flags), False  # a file system in memory, for one, has nothing but the cache


def _take_buffer() -> memoryview:
    """Return a buffer that begins at the border of a page; private, so that no other process sees it."""
    try:
        return _idle.pop()
    except IndexError:
        return memoryview(mmap.mmap(-1, BUFFER_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))

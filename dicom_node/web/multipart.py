"""Bodies of several parts (RFC 2046 5.1): read as they come, a broken part apart from its neighbours."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MOST_HEAD: Final = 1 << 14
"""Bytes that the head of one part may have."""
_MOST_PADDING: Final = 256
_END_OF_LINE = re.compile(rb"[ \t]*\r\n")
_BLANK: Final = b"\r\n\r\n"
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,199}[0-9A-Za-z'()+_,\-./:=?]", re.ASCII)


def is_boundary(text: str) -> bool:
    """Say whether a text may separate parts: the characters of RFC 2046 5.1.1, 1 to 200 of them.

    The RFC ends at 70; Orthanc's client takes 73.
    """
    return _BOUNDARY.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class PartBegins:
    content_type: str | None
    """As its head says, possibly empty; None if the head is broken or too long."""


@dataclass(frozen=True, slots=True)
class PartContent:
    content: bytes


@dataclass(frozen=True, slots=True)
class PartEnds:
    is_whole: bool
    """False if the body ended within the part."""


Event = PartBegins | PartContent | PartEnds


class _At(Enum):
    PREAMBLE = auto()
    HEAD = auto()
    CONTENT = auto()
    EPILOGUE = auto()


class MultipartReader:
    """Cuts a body into parts, in whatever pieces it comes; keeps no more than a piece and a head."""

    def __init__(self, boundary: str) -> None:
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        # The first delimiter may stand at the very beginning, without the line end that belongs to it.
        self._pending = b"\r\n"
        self._at = _At.PREAMBLE

    @property
    def is_closed(self) -> bool:
        """Whether the closing delimiter has come."""
        return self._at is _At.EPILOGUE

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Take the next bytes of the body. To be exhausted before the next call."""
        self._pending += chunk
        while not self.is_closed:
            before = (self._at, len(self._pending))
            yield from self._head() if self._at is _At.HEAD else self._content()
            if before == (self._at, len(self._pending)):
                return
        self._pending = b""

    def finish(self) -> Iterator[Event]:
        """End the body, also where no closing delimiter has come."""
        if self._at is _At.HEAD:
            yield PartBegins(None)
        if self._at in (_At.HEAD, _At.CONTENT):
            yield PartEnds(is_whole=False)
        self._at = _At.EPILOGUE

    def _head(self) -> Iterator[Event]:
        """Read the head of a part; its text begins with the line end of the delimiter before it."""
        blank, end = self._pending.find(_BLANK), self._pending.find(self._delimiter)
        if end >= 0 and (blank < 0 or end < blank):
            yield PartBegins(None)
            self._pending, self._at = self._pending[end:], _At.CONTENT
        elif blank < 0:
            if len(self._pending) > MOST_HEAD:
                yield PartBegins(None)
                self._at = _At.CONTENT
        elif len(self._pending) >= blank + 2 + len(self._delimiter):
            yield PartBegins(_content_type(self._pending[:blank]) if blank <= MOST_HEAD else None)
            # A part without content: the blank line's end belongs to the delimiter.
            skipped = 2 if end == blank + 2 else len(_BLANK)
            self._pending = self._pending[blank + skipped :]
            self._at = _At.CONTENT

    def _content(self) -> Iterator[Event]:
        end = self._pending.find(self._delimiter)
        if end < 0:
            yield from self._pass_on(len(self._pending) - len(self._delimiter) + 1)
            return
        yield from self._pass_on(end)
        rest = self._pending[len(self._delimiter) :]
        line_end = _END_OF_LINE.match(rest)
        if rest.startswith(b"--") or line_end is not None:
            if self._at is _At.CONTENT:
                yield PartEnds(is_whole=True)
            self._at = _At.EPILOGUE if line_end is None else _At.HEAD
            self._pending = rest if line_end is None else rest[line_end.end() - 2 :]
        elif not _may_end_a_line(rest):
            yield from self._pass_on(len(self._delimiter))

    def _pass_on(self, length: int) -> Iterator[Event]:
        """Give away so many bytes; those before the first part are nobody's."""
        if length > 0:
            if self._at is _At.CONTENT:
                yield PartContent(self._pending[:length])
            self._pending = self._pending[length:]


def _may_end_a_line(rest: bytes) -> bool:
    """Say whether what follows a boundary may still become the end of a delimiter."""
    return len(rest) < _MOST_PADDING and (rest == b"-" or rest.lstrip(b" \t") in (b"", b"\r"))


def _content_type(head: bytes) -> str | None:
    """Find Content-Type in the head of a part; None if the head is not made of fields."""
    found = ""
    for line in head.removeprefix(b"\r\n").split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if line and (not colon or not name.strip()):
            return None
        if name.strip().lower() == b"content-type":
            found = value.strip().decode("latin-1")
    return found

"""Chapters and tables of the conformance statement, as Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from textwrap import fill

from pydicom.uid import UID

_WIDTH = 120
_NEWER = {"1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage"}
"""What the dictionary at hand does not know yet."""


@dataclass(slots=True)
class Chapter:
    """A numbered chapter that is written from top to bottom."""

    number: str
    title: str
    blocks: list[str] = field(default_factory=list[str])

    def section(self, number: str, title: str) -> None:
        """Begin a section of this chapter; its depth is that of its number."""
        self.blocks.append(f"{'#' * (3 + number.count('.'))} {self.number}.{number} {title}")

    def say(self, *sentences: str) -> None:
        text = " ".join(sentences)
        self.blocks.append(fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False))

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        lines = [_row(headings), _row(["---"] * len(headings)), *map(_row, rows)]
        self.blocks.append("\n".join(lines))

    def text(self) -> str:
        return "\n\n".join([f"## {self.number} {self.title}", *self.blocks])


def named(uid: str) -> str:
    """Name a UID as the standard does; a private or newer one stands for itself."""
    return _NEWER.get(uid) or UID(uid).name


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(cell: object) -> str:
    return str(cell).replace("\n", " ").replace("|", "\\|")

"""How well a comparison with a prior tells what became of each finding.

A statement is a finding, its side and one of new, larger, smaller, stable and gone; texts are read by
`model.report_language.changes`, the found one like the true one.
"""

from collections.abc import Collection
from dataclasses import dataclass

from model.reading import ChangeStatus
from model.report_language.changes import changes_in

Statement = tuple[str, str, str]
"""Label, side (empty if none is told) and status."""

STATUSES = tuple(status.value for status in ChangeStatus)


@dataclass(frozen=True, slots=True)
class Compared:
    """The statements of one comparison."""

    told: frozenset[Statement]
    true: frozenset[Statement]
    says_something: bool
    """Whether the text could be read at all; "No significant change." can."""

    def right(self) -> list[tuple[str, bool]]:
        """Per true statement: its status, and whether it was told so."""
        return [(status, (label, side, status) in self.told) for label, side, status in sorted(self.true)]

    @property
    def says_nothing_changed(self) -> bool:
        return self.says_something and not self.told


def compared(told: str, true: str, known: Collection[str]) -> Compared:
    """Read both texts; `known` are the labels to look for."""
    read = changes_in(told, known)
    return Compared(
        frozenset((c.label, c.laterality or "", c.status.value) for c in read.value),
        statements(true, known),
        bool(read.value) or not read.caveats,
    )


def statements(text: str, known: Collection[str]) -> frozenset[Statement]:
    """The changes that a comparison tells."""
    return frozenset((c.label, c.laterality or "", c.status.value) for c in changes_in(text, known).value)

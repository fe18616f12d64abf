"""A second look that knows nothing of how data sets are cleaned: no string of the source is written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset

from worker.archive_export.elements import read_element
from worker.archive_export.identifiers import Identifiers, folded
from worker.archive_export.pseudonyms import is_registered
from worker.errors import DisclosureError

LEAST_LETTERS = 5
"""Of a name; shorter ones turn up by chance in other words, and are looked for as words elsewhere."""
LEAST_DIGITS = 6
"""Of an identifier."""


@dataclass(frozen=True, slots=True, repr=False)
class SeatBelt:
    """Strings of one study's source that must not be found."""

    needles: frozenset[str]
    """Folded."""

    def check(self, header: bytes) -> None:
        """Search the bytes of a file before its pixels, or of a record.

        Raises:
            DisclosureError: one is there.
        """
        for encoding in ("utf-8", "latin-1"):
            written = folded(header.decode(encoding, "replace"))
            if any(needle in written for needle in self.needles):
                raise DisclosureError("what was cleaned still holds a string of its source; please report it")


def seat_belt(datasets: Iterable[Dataset], identifiers: Identifiers, harmless: frozenset[str]) -> SeatBelt:
    """Collect UIDs, names that are no common word, and identifiers with digits."""
    names = (name for name in identifiers.names if len(name) >= LEAST_LETTERS and name not in harmless)
    numbers = (
        phrase[0]
        for phrase in identifiers.phrases
        if len(phrase) == 1 and len(phrase[0]) >= LEAST_DIGITS and any(c.isdigit() for c in phrase[0])
    )
    uids = (uid for ds in datasets for uid in _uids(ds))
    return SeatBelt(frozenset((*names, *numbers, *uids)))


def _uids(ds: Dataset) -> Iterator[str]:
    for tag in sorted(ds.keys()):
        element = read_element(ds, tag)
        if element is None:
            continue
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _uids(item)
        elif element.VR == "UI" and element.value:
            many = [element.value] if isinstance(element.value, str) else element.value
            yield from (str(uid) for uid in many if not is_registered(str(uid)) and len(str(uid)) > 12)

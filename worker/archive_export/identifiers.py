"""Collects from source headers, at any depth, every text by which a person or place could be known again."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from worker.archive_export.elements import read_element, tolerant
from worker.archive_export.profile import rule_of

_WORD = re.compile(r"[^\W_]+")
_TEXTS = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_LONGEST = 128
"""Characters of a value that is looked for as it stands; longer ones are prose, of which the words count."""


def folded(text: str) -> str:
    """Make spellings of one name alike: case, accents, width and kinds of spaces are no difference."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def words_of(text: str) -> list[str]:
    """Split into folded runs of letters and digits, in any script."""
    return _WORD.findall(folded(text))


@dataclass(frozen=True, slots=True, repr=False)
class Identifiers:
    """What must not stand in any text that is written; words are folded."""

    names: frozenset[str]
    """Single words of person names."""
    phrases: frozenset[tuple[str, ...]]
    """Whole values, word by word: identifiers, institutions, addresses, descriptions."""

    def places(self, words: list[str]) -> Iterator[tuple[int, int]]:
        """Yield the half-open ranges of words that identify."""
        longest = max(map(len, self.phrases), default=0)
        for start, word in enumerate(words):
            if word in self.names:
                yield start, start + 1
            for end in range(start + 1, min(start + longest, len(words)) + 1):
                if tuple(words[start:end]) in self.phrases:
                    yield start, end


def identifiers_of(datasets: Iterable[Dataset], harmless: frozenset[str]) -> Identifiers:
    """Collect from whole data sets and their file meta; phrases of `harmless` words only tell nothing.

    Harmless words excuse a description ("CT Abdomen"), but never a name or an identifier.
    """
    names: set[str] = set()
    phrases: set[tuple[str, ...]] = set()
    with tolerant():
        found = [element for ds in datasets for element in _elements(ds)]
    for element in found:
        for text in _texts(element):
            words = words_of(text)
            if element.VR == "PN":
                names.update(word for word in words if len(word) > 1)
            elif _names_somebody(element) or not harmless.issuperset(words):
                phrases.add(tuple(words))
    phrases -= {phrase for phrase in phrases if sum(map(len, phrase)) < 3}
    return Identifiers(frozenset(names), frozenset(phrases))


def _elements(ds: Dataset) -> Iterator[DataElement]:
    """Yield every element at any depth that can be read and that the profile does not keep."""
    parts = [ds, getattr(ds, "file_meta", None) or Dataset()]
    for part in parts:
        for tag in sorted(part.keys()):
            element = read_element(part, tag)
            if element is None:
                continue
            if element.VR == "SQ":
                for item in element.value or ():
                    yield from _elements(item)
            elif element.VR in _TEXTS and (element.VR == "PN" or rule_of(tag) is not None):
                yield element


def _names_somebody(element: DataElement) -> bool:
    keyword = element.keyword
    return element.tag.group == 0x0010 or keyword.endswith(("ID", "IDs", "Number", "Name", "Address"))


def _texts(element: DataElement) -> list[str]:
    value = element.value
    if value is None:
        return []
    many = [value] if isinstance(value, str | PersonName) else list(value)
    return [text for one in many if (text := str(one).replace("^", " ").replace("=", " ").strip()[:_LONGEST])]

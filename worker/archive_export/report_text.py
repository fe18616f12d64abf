"""Cleans free text of reports: identity is taken out, and only sentences of words known to be safe stay.

What a header names can be searched for; a nurse, a village or a relative it does not name cannot. So every
word of a sentence must be on the list of words of reports (`safe_words.tsv`), or the sentence is left out.
Reports in languages that the list does not cover are therefore left out whole: a site adds words of its own.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from model.report_language.sentences import sentences_of
from worker.archive_export.identifiers import Identifiers, folded, words_of
from worker.errors import AskedAmissError

GAP = "___"
"""Stands where identity was, as in the public sets of reports."""

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_REMOVED = re.compile(
    "|".join(
        (
            r"\b\d{1,4}(?P<between>[-./])\d{1,2}(?P=between)\d{1,4}\b",
            rf"\b\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH}\b\.?,?(?: \d{{2,4}}\b)?",
            rf"\b{_MONTH}\b\.? \d{{1,4}}(?:st|nd|rd|th)?\b(?:,? \d{{4}}\b)?",
            r"\b\d{1,2}[:h]\d\d(?::\d\d)?\s*(?:[ap]\.?m\b\.?|hours|hrs)?",
            r"\b\d{1,2}/\d{2,4}\b|\b(?:19|20)\d\d\b",
            r"\S+@\S+|\b(?:https?://|www\.)\S+",
            r"\+?\(?\d(?:[ ()./-]{0,2}\d){6,}|\b(?=\w*\d)\w{6,}\b",
        )
    ),
    re.IGNORECASE,
)
"""Dates and times in the usual spellings, addresses, long numbers."""

_TITLED = re.compile(
    r"\b(?i:dr|drs|prof|mr|mrs|ms|miss)\b\.?(?:\s+(?:[A-Z]\.|[A-Z][\w'’-]+)){1,3}|"
    r"(?:\b[A-Z][\w'’-]+,?\s+){1,3}(?:M\.?D|Ph\.?D|F\.?R\.?C\.?R)\b\.?"
)
"""Names beside a title."""

_CONVERSATION = re.compile(
    r"\b(?:dictated|signed|transcribed|typed|reviewed by|read by|reported by|interpreted by|electronically|"
    r"discussed with|communicated|notified|informed|telephoned?|phoned|paged|pager|attending|resident|"
    r"radiologist|physician|doctor|nurse|accession|mrn|dob)\b",
    re.IGNORECASE,
)
"""Sentences that speak of people, whoever they are."""

_SAFE_NUMBER = re.compile(r"\d{1,3}(?:cm|mm|ml|cc|hu|kg|st|nd|rd|th|x|d)?|[ctls]\d{1,2}|\d{1,2}x\d{1,2}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


@dataclass(frozen=True, slots=True)
class CleanText:
    """What is left of a text, and how many sentences could not be judged safe."""

    text: str
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class TextCleaner:
    """Cleans the texts of one study."""

    identifiers: Identifiers
    safe_words: frozenset[str]
    """Folded."""

    def clean(self, text: str) -> CleanText:
        """Keep the sentences that can be judged safe, with `GAP` where identity was."""
        kept: list[str] = []
        left_out = 0
        plain = _CONTROL.sub("", unicodedata.normalize("NFKC", text))
        for sentence in sentences_of(_without_phrases(plain)):
            safe = self._safe(sentence)
            left_out += safe is None
            kept += [safe] if safe else []
        return CleanText(" ".join(kept), left_out)

    def _safe(self, sentence: str) -> str | None:
        """Return the sentence without identity; None if it cannot be judged, empty if it says nothing."""
        if _CONVERSATION.search(sentence):
            return None
        pieces = _pieces(sentence)
        words = [folded(piece) for piece, is_word in pieces if is_word]
        hidden = {n for start, end in self.identifiers.places(words) for n in range(start, end)}
        if any(words[n] in self.safe_words for n in hidden):
            # A patient called No or Long: without the word the sentence may say the opposite.
            return None
        if not all(n in hidden or self._is_safe(word) for n, word in enumerate(words)):
            return None
        numbered = iter(range(len(words)))
        shown = [GAP if is_word and next(numbered) in hidden else piece for piece, is_word in pieces]
        told = re.sub(rf"{GAP}(?:[\s,.-]*{GAP})+", GAP, "".join(shown)).strip()
        return told if words_of(told.replace("_", " ")) else ""

    def _is_safe(self, word: str) -> bool:
        return word in self.safe_words or _SAFE_NUMBER.fullmatch(word) is not None


def _without_phrases(text: str) -> str:
    """Take out dates, numbers and titled names before sentences are told apart: they hold full stops."""
    return _TITLED.sub(GAP, _REMOVED.sub(GAP, text))


def _pieces(sentence: str) -> list[tuple[str, bool]]:
    """Split into words and what stands between them."""
    found = re.split(r"([^\W_]+)", sentence)
    return [(piece, n % 2 == 1) for n, piece in enumerate(found) if piece]


def safe_words(more: Path | None = None) -> frozenset[str]:
    """Return the words of reports with their usual endings, and those of a site's own file, one a line.

    Raises:
        AskedAmissError: the file cannot be read.
    """
    if more is None:
        return _own_words()
    try:
        return _own_words() | _folded(more.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as exc:
        raise AskedAmissError("the file of safe words cannot be read: one word a line, UTF-8") from exc


@cache
def _own_words() -> frozenset[str]:
    table = (files("worker.archive_export") / "safe_words.tsv").read_text(encoding="utf-8")
    words = [word for line in table.splitlines()[1:] for word in line.partition("\t")[2].split()]
    return _folded(form for word in words for form in _forms(word))


def _folded(words: Iterable[str]) -> frozenset[str]:
    return frozenset(part for word in words for part in words_of(word))


def _forms(word: str) -> list[str]:
    """A word ending in `+` is inflected: plural, past, participle and adverb as English forms them."""
    if not word.endswith("+"):
        return [word]
    stem = word[:-1]
    if stem.endswith("y") and stem[-2] not in "aeiou":
        return [stem, f"{stem[:-1]}ies", f"{stem[:-1]}ied", f"{stem}ing", f"{stem[:-1]}ily"]
    short = stem.removesuffix("e")
    return [stem, f"{stem}s", f"{stem}es", f"{short}ed", f"{short}ing", f"{stem}ly"]

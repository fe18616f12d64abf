"""How published text metrics split a report into words; each keeps the split of its published figures."""

import re
from collections import Counter
from collections.abc import Sequence
from unicodedata import category

_ABBREVIATIONS = (
    "al|apr|aug|cf|co|corp|ct|dec|dept|dr|est|etc|ext|feb|fri|ft|inc|jan|jr|jul|jun|lt|mar|md|mo|mon|mr|mrs|ms|"
    "nov|oct|prof|rep|rev|rt|sep|sept|sr|st|thu|tue|vs|wed"
)
"""What keeps its full stop among words of reports, CT as the short form of Connecticut."""
_NUMBER = r"\d+(?:[.,:]\d+)+"
_PART = rf"(?:{_NUMBER}(?!\w)|\w+(?:\.[^\W\d]\w*)*)"
_COCO_WORD = re.compile(
    r"(?i:\bcan(?=not\b)|\w+?(?=n't\b)|n't\b|'(?:s|m|d|re|ve|ll)\b)"
    rf"|(?:(?i:\b(?:{_ABBREVIATIONS}))|\b[PL]A)\.(?!\w)|(?i:\bnos?)\.(?=\s*\d)"
    r"|(?<![\w.])(?:[A-Za-z]\.){2,}(?!\w)|(?<![\w.])[A-Za-z]\.(?=\s+[a-z]|\s*\Z)"
    rf"|(?<!\w)[-+]?{_NUMBER}(?=[a-z])"
    rf"|(?:(?<!\w)[-+](?=\d))?{_PART}(?:[-/?!]{_PART})*|\.\d+"
    r"|[?!]{2,}|\*+|[^\w\s]"
)
"""Contractions, abbreviations, initials, numbers before their unit, words and numbers, signs."""
_COCO_SPELLINGS = str.maketrans({"’": "'", "½": "1/2", "¼": "1/4", "¾": "3/4"})
_COCO_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_COCO_DROPPED = frozenset(".,:;?!'\"`-–—…“”‘")
_ALPHANUMERIC = re.compile(r"[a-z0-9]+")


def coco_words(text: str) -> list[str]:
    """Split as the evaluation of COCO captions does: Penn Treebank words, lower case, without punctuation.

    The published splitter is a Java program (Stanford CoreNLP 3.4.1). This is what it does with reports; it
    knows more abbreviations, addresses of the Internet and some signs that do not stand in them.
    """
    words = (match[0].lower() for match in _COCO_WORD.finditer(text.translate(_COCO_SPELLINGS)))
    return [_COCO_BRACKETS.get(word, word) for word in words if word not in _COCO_DROPPED and _is_seen(word)]


def rouge_words(text: str) -> list[str]:
    """Split as package rouge-score does without its stemmer: runs of a to z and 0 to 9, lower case."""
    return _ALPHANUMERIC.findall(text.lower())


def spaced_words(text: str) -> list[str]:
    """Split as CXR-Report-Metric does for its BLEU: at spaces, lower case, full stops being words."""
    return [word for word in text.lower().replace(".", " .").split(" ") if word]


def ngrams(words: Sequence[str], longest: int) -> Counter[tuple[str, ...]]:
    """Count the runs of 1 to `longest` words."""
    return Counter(
        tuple(words[start : start + length])
        for length in range(1, longest + 1)
        for start in range(len(words) - length + 1)
    )


def _is_seen(word: str) -> bool:
    """Whether the published splitter takes a sign for more than white space; it knows 16 bits of Unicode."""
    return ord(word[0]) <= 0xFFFF and not category(word[0]).startswith("C")

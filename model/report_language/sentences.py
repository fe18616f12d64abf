"""Splits a report into sentences and sentences into clauses, and folds spellings that mean the same."""

import re

_HEADING = re.compile(r"\b(?:findings|impression|conclusion)\s*:", re.IGNORECASE)
_END = re.compile(r"(?<=[.!?])\s+|\n+")
_NUMBER = re.compile(r"\d{1,2}[.)]")

_CLAUSE = re.compile(
    r";|,?\s*\b(?:but|however|although|though|yet|while|whereas|nevertheless)\b|"
    r",\s*(?:and\s+)?(?=(?:no|without|there|with no)\b)|\band(?=\s+(?:no|there)\b)"
)

_FOLDED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r"^((?:in|at|within|along|over)\b[^,;]*),\s*", r"\1 "),
        (r"\brul\b", "right upper lobe"),
        (r"\brml\b", "right middle lobe"),
        (r"\brll\b", "right lower lobe"),
        (r"\blul\b", "left upper lobe"),
        (r"\blll\b", "left lower lobe"),
        (r"\b(left|right)[- ]sided\b", r"\1"),
        (
            r"\b(?:left|right) (?:(?:more|greater|larger|worse) than|and|or|as well as) (?:the )?"
            r"(?:left|right)\b",
            "bilateral",
        ),
        (r"\b(?:bilaterally|both)\b", "bilateral"),
        (r"\b(?:bibasilar|bibasal|bibasally)\b", "bilateral lower"),
        (r"\bbiapical\b", "bilateral upper"),
        (r"\blingul(?:a|ar)\b", "left mid"),
    )
)


def sentences_of(text: str) -> list[str]:
    """Split into sentences with their full stop.

    A decimal point ends none; section headings and numbers of a list are dropped.
    """
    parts = (part.strip() for part in _END.split(_HEADING.sub(" ", text).strip()))
    return [part for part in parts if part and not _NUMBER.fullmatch(part)]


def clauses_of(sentence: str) -> list[str]:
    """Split into lower-case clauses that are judged one by one, with sides and lobes in one spelling."""
    folded = " ".join(sentence.lower().replace(":", " ").split())
    for pattern, word in _FOLDED:
        folded = pattern.sub(word, folded)
    return [clause.strip(" .!?,") for clause in _CLAUSE.split(folded) if clause.strip(" .!?,")]

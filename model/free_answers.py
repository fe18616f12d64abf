"""Reads an answer whose question is not known: its tags say which modules ran, its words name of what.

As in `model.answers`, every function is pure and never raises: what breaks the grammar becomes a caveat.
"""

import re
from dataclasses import dataclass

from model.answers import BOXES_PER_NAME
from model.report_language.cleaning import Parsed

TAGS = re.compile(r"<DET>|<N/A>|<2DSEG>|<3DSEG>")

_PART = re.compile(
    r"The segmentation mask of (?P<organ>[^,.<>]+) is (?P<mask><[23]DSEG>)\."
    r"|(?P<name>[^,.<>]+),(?P<boxes><N/A>|<DET>(?:,<DET>)*)\."
)


@dataclass(frozen=True, slots=True)
class Boxed:
    """What an answer says of one name by `<DET>` or `<N/A>`."""

    name: str
    tags: tuple[int, ...]
    """Which `<DET>` of the text, counted from 0; empty for `<N/A>`."""


@dataclass(frozen=True, slots=True)
class Masked:
    """A name with its segmentation tag."""

    name: str
    tag: str
    """`<2DSEG>` or `<3DSEG>`."""
    number: int
    """Which segmentation tag of the text, counted from 0."""


@dataclass(frozen=True, slots=True)
class FreeAnswer:
    """An answer taken apart."""

    boxed: tuple[Boxed, ...] = ()
    masked: tuple[Masked, ...] = ()
    words: str = ""
    """What is left: sentences without tags."""


def free_answer(text: str) -> Parsed[FreeAnswer]:
    """Take apart any mixture of `NAME,<DET>.`, `NAME,<N/A>.`, mask sentences and plain sentences.

    A name that is told twice keeps its first telling; a tag outside the grammar is left out.
    """
    boxed: dict[str, Boxed] = {}
    masked: dict[str, Masked] = {}
    caveats: list[str] = []
    for match in _PART.finditer(text):
        name = (match["organ"] or match["name"]).strip()
        if name in (masked if match["mask"] else boxed):
            caveats.append("The answer names one thing twice; the first was kept.")
        elif match["mask"]:
            number = len(re.findall(r"<[23]DSEG>", text[: match.start()]))
            masked[name] = Masked(name, match["mask"], number)
        else:
            first, told = text.count("<DET>", 0, match.start()), match["boxes"].count("<DET>")
            if told > BOXES_PER_NAME:
                caveats.append(
                    f"More than {BOXES_PER_NAME} boxes of one name were given; the others were left out."
                )
            boxed[name] = Boxed(name, tuple(range(first, first + min(told, BOXES_PER_NAME))))
    words = _PART.sub(" ", text)
    if TAGS.search(words):
        caveats.append("Part of the answer uses a tag outside its grammar and was left out.")
        words = " ".join(part for part in re.split(r"(?<=\.)\s*", words) if not TAGS.search(part))
    answer = FreeAnswer(tuple(boxed.values()), tuple(masked.values()), " ".join(words.split()))
    return Parsed(answer, tuple(dict.fromkeys(caveats)))

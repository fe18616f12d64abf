"""Reads the short answers of a language model by their grammar: labels, yes or no, tags, a diagnosis.

Every function is pure and never raises: whatever breaks the grammar of its question is left out of the value
and named in a caveat, so that nothing doubtful is reported as a finding and nothing is dropped in silence.
Caveats hold no generated text; that is kept whole in `Reading.answers`. Free text is read by
`model.report_language`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from model.reading import CHEST_FINDINGS, SKIN_LESIONS
from model.report_language.cleaning import Parsed


@dataclass(frozen=True, slots=True)
class Detected:
    """What a detection answer says of one name."""

    name: str
    tags: tuple[int, ...]
    """Which `<DET>` of the text, counted from 0; empty for `<N/A>`."""


BOXES_PER_NAME = 3
"""Most boxes of one name that are believed."""


NO_FINDING = frozenset({"no finding", "no findings", "normal", "none"})
"""What a list of labels says where there is none."""

_TAG = re.compile(r"<[^<>]*>")

_DIAGNOSES = {
    "actinic keratosis": r"actinic keratos[ei]s|bowen'?s? disease|intraepithelial carcinoma",
    "basal cell carcinoma": r"basal cell carcinomas?",
    "benign keratosis": r"benign keratos[ei]s|seborrh?oeic keratos[ei]s|seborrheic keratos[ei]s|"
    r"solar lentigo|solar lentigines|lichen[- ]planus[- ]like keratos[ei]s",
    "dermatofibroma": r"dermatofibromas?",
    "melanoma": r"melanomas?",
    "melanocytic nevus": r"(?:melanocytic )?n(?:a?evus|a?evi)",
    "vascular lesion": r"vascular lesions?|(?:hem)?angiomas?|angiokeratomas?|pyogenic granulomas?",
}
"""The spellings of each class of HAM10000, with the diagnoses that it gathers (Tschandl 2018)."""


def labels_in(text: str, *, known: Sequence[str] = CHEST_FINDINGS) -> Parsed[frozenset[str] | None]:
    """Read a comma-separated list of labels; an empty set for `no finding`, None if it says nothing known."""
    names = [name.strip() for name in text.strip().rstrip(".").lower().split(",")]
    found = frozenset(name for name in names if name in known)
    strange = [name for name in names if name not in known and name not in NO_FINDING]
    caveats: list[str] = []
    if strange:
        caveats.append("The classification named a label that is not known.")
    if found and NO_FINDING & set(names):
        return Parsed(None, (*caveats, "The classification contradicts itself."))
    if not found and strange:
        return Parsed(None, tuple(caveats))
    return Parsed(found, tuple(caveats))


def yes_or_no(text: str) -> bool | None:
    """Read a yes/no answer by its first word; None if it is neither, or says the other word too."""
    said = re.findall(r"\b(?:yes|no)\b", text.lower())
    starts = re.match(r"\s*(yes|no)\b\s*(?:$|[.,;])", text.lower())
    if starts is None or len(set(said)) != 1:
        return None
    return starts[1] == "yes"


def detections_in(text: str, names: Sequence[str]) -> Parsed[tuple[Detected, ...]]:
    """Read `NAME,<DET>.` or `NAME,<N/A>.` for each name that was asked, by strict grammar.

    Spaces around tags are ignored: some tokenizers write them.
    """
    alternatives = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    part = re.compile(rf"({alternatives})\s*,\s*(<N/A>|<DET>(?:\s*,\s*<DET>)*)\s*\.")
    found: dict[str, Detected] = {}
    caveats: list[str] = []
    position = 0
    for match in part.finditer(text):
        if text[position : match.start()].strip():
            caveats.append("Part of a detection answer is malformed and was left out.")
        position = match.end()
        name = match[1]
        if name in found:
            caveats.append(f"The detection answer names {name} twice; the first was kept.")
            continue
        first = text.count("<DET>", 0, match.start())
        tags = tuple(range(first, first + match[2].count("<DET>")))
        if len(tags) > BOXES_PER_NAME:
            caveats.append(
                f"More than {BOXES_PER_NAME} boxes of {name} were given; the others were left out."
            )
        found[name] = Detected(name, tags[:BOXES_PER_NAME])
    if text[position:].strip():
        caveats.append("Part of a detection answer is malformed and was left out.")
    caveats += [f"The detection answer says nothing of {name}." for name in names if name not in found]
    ordered = tuple(found[name] for name in names if name in found)
    return Parsed(ordered, tuple(dict.fromkeys(caveats)))


def has_segment(text: str, name: str, tag: str) -> Parsed[bool]:
    """Whether a segmentation answer points to exactly one mask of `name` by `tag` (`<2DSEG>` or `<3DSEG>`).

    "There is no NAME …" is a valid answer without a mask.
    """
    tags = _TAG.findall(text)
    if tags == [tag] and re.search(rf"\bof {re.escape(name)} is\s*{re.escape(tag)}", text):
        return Parsed(True)
    if not tags and re.fullmatch(rf"There (?:is|are) no {re.escape(name)} in the \w+\.", text.strip()):
        return Parsed(False)
    return Parsed(False, (f"The segmentation answer for {name} is malformed and was left out.",))


def diagnosis_in(text: str, known: Sequence[str] = SKIN_LESIONS) -> Parsed[str | None]:
    """Read the one diagnosis that an answer names, under any of its spellings."""
    spellings = {label: _DIAGNOSES.get(label, re.escape(label)) for label in known}
    named = [label for label, words in spellings.items() if re.search(rf"\b(?:{words})\b", text.lower())]
    if len(named) == 1:
        return Parsed(named[0])
    problem = "more than one" if named else "no known"
    return Parsed(None, (f"The answer names {problem} diagnosis.",))


def is_frontal_chest(text: str) -> bool:
    """Whether the gate question was answered with `A frontal chest radiograph.`"""
    return text.strip().rstrip(".").lower() == "a frontal chest radiograph"


def is_no_frontal_chest(text: str) -> bool:
    """Whether the gate question was answered with `Not a frontal chest radiograph.`"""
    return text.strip().rstrip(".").lower() == "not a frontal chest radiograph"

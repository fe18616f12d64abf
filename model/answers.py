"""Reads what the language model wrote: generated text becomes statements, or a caveat that says why not.

Every function is pure and never raises: whatever breaks the grammar of its question is left out of the value
and named in a caveat, so that nothing doubtful is reported as a finding and nothing is dropped in silence.
Caveats hold no generated text; that is kept whole in `Reading.answers`.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from model.reading import CHEST_FINDINGS, SKIN_LESIONS, Change, ChangeStatus, Laterality, Presence

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """What could be read, and a sentence for everything that could not."""

    value: T
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """What one clause of a report says of one label."""

    label: str
    presence: Presence
    laterality: Laterality | None
    zone: str | None
    """`upper`, `mid` or `lower`."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Detected:
    """What a detection answer says of one name."""

    name: str
    tags: tuple[int, ...]
    """Which `<DET>` of the text, counted from 0; empty for `<N/A>`."""


BOXES_PER_NAME = 3
"""Most boxes of one name that are believed."""

REPEATS = 3
"""A sentence written this often is a loop, not a report."""

_MENTIONS: Mapping[str, re.Pattern[str]] = {
    "lung nodule": re.compile(r"\bnodul(?:es?|ar opacit(?:y|ies))\b"),
    "consolidation": re.compile(r"\bconsolidations?\b|\bairspace (?:opacit(?:y|ies)|disease)\b"),
    "pleural effusion": re.compile(r"(?<!pericardial )\beffusions?\b"),
    "pneumothorax": re.compile(r"\bpneumothora(?:x|ces)\b"),
    "enlarged cardiac silhouette": re.compile(
        r"\bcardiomegaly\b|\b(?:enlarged )?(?:cardiac|cardiomediastinal) silhouette\b|\b(?:enlarged )?heart\b"
    ),
}
_HEART = "enlarged cardiac silhouette"
_LUNG_FINDINGS = ("lung nodule", "consolidation")

_NEGATION = re.compile(r"\b(?:no|not|without|free of|absence of|negative for|neither|nor)\b")
_NEGATED_AFTER = re.compile(r"\b(?:absent|excluded|ruled out|(?:is|are|was) not)\b")
_DOUBT = re.compile(
    r"\b(?:possibl[ey]|may|might|cannot be excluded|questionable|suspected|equivocal|probabl[ey])\b"
)
_CLAUSE = re.compile(
    r";|,\s*(?=(?:no|without|but|however|there)\b)|\b(?:but|however)\b|\band(?= (?:no|there)\b)"
)
_COMPARING = re.compile(
    r"\b(?:unchanged|stable|interval|compared|comparison|previous(?:ly)?|prior|since|new(?:ly)?|again|increas\w*|"
    r"decreas\w*|resol\w*|improv\w*|worsen\w*|persist\w*|remains?|no change|changed)\b",
    re.IGNORECASE,
)
_TAG = re.compile(r"<[^<>]*>")
_CONTROL = re.compile(r"[<>#\x00-\x1f\x7f]")
"""No sentence of a report holds these; a piece of a tag or of a turn mark does."""

_STATUS: Mapping[ChangeStatus, re.Pattern[str]] = {
    ChangeStatus.NEW: re.compile(r"\bnew(?:ly)?\b"),
    ChangeStatus.INCREASED: re.compile(r"\b(?:increas|worsen|progress)\w*|\blarger\b"),
    ChangeStatus.DECREASED: re.compile(r"\b(?:decreas|improv|reduc)\w*|\bsmaller\b"),
    ChangeStatus.UNCHANGED: re.compile(r"\bunchanged\b|\bstable\b|\bno (?:significant )?change\b"),
    ChangeStatus.RESOLVED: re.compile(r"\b(?:resolv|disappear)\w*|\bno longer\b"),
}
_NO_CHANGE = re.compile(r"^no (?:significant |relevant )?(?:interval )?change[sd]?\b")


def clean_report(text: str, *, complete: bool) -> Parsed[str]:
    """Keep the sentences of a report that may be shown.

    Left out are an unfinished last sentence, sentences with tags, sentences that compare (a report is written
    without sight of a prior, which has questions of its own), and repetitions.
    """
    caveats: list[str] = []
    kept: dict[str, None] = {}
    told = Counter(sentences_of(text))
    for sentence in told:
        if not sentence.endswith("."):
            caveats.append("An unfinished sentence of the generated report was left out.")
        elif _CONTROL.search(sentence):
            caveats.append("A sentence of the generated report with a control tag was left out.")
        elif _COMPARING.search(sentence):
            caveats.append("A sentence of the generated report that compares without a prior was left out.")
        else:
            kept[sentence] = None
    if not complete:
        caveats.append("The generated report was cut at the length limit.")
    if told and max(told.values()) >= REPEATS:
        caveats.append("The generated report repeats itself.")
    return Parsed(" ".join(kept), tuple(dict.fromkeys(caveats)))


def statements_in(text: str) -> list[Statement]:
    """What a cleaned report says of each chest finding, clause by clause, in the order of the text."""
    return [
        statement
        for sentence in sentences_of(text)
        for clause in _CLAUSE.split(sentence.lower())
        for statement in _clause_statements(clause, sentence)
    ]


def labels_in(text: str, *, known: Sequence[str] = CHEST_FINDINGS) -> Parsed[frozenset[str] | None]:
    """Read a comma-separated list of labels; an empty set for `no finding`, None if it says nothing known."""
    names = [name.strip() for name in text.strip().rstrip(".").split(",")]
    found = frozenset(name for name in names if name in known)
    strange = [name for name in names if name not in known and name != "no finding"]
    caveats: list[str] = []
    if strange:
        caveats.append("The classification named a label that is not known.")
    if found and "no finding" in names:
        return Parsed(None, (*caveats, "The classification contradicts itself."))
    if not found and strange:
        return Parsed(None, tuple(caveats))
    return Parsed(found, tuple(caveats))


def yes_or_no(text: str) -> bool | None:
    """Read a yes/no answer; None if it is neither."""
    return {"yes": True, "no": False}.get(text.strip().rstrip(".").lower())


def detections_in(text: str, names: Sequence[str]) -> Parsed[tuple[Detected, ...]]:
    """Read `NAME,<DET>.` or `NAME,<N/A>.` for each name that was asked, by strict grammar."""
    alternatives = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    part = re.compile(rf"({alternatives}),(<N/A>|<DET>(?:,<DET>)*)\.")
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
    if tags == [tag] and re.search(rf"\bof {re.escape(name)} is {re.escape(tag)}", text):
        return Parsed(True)
    if not tags and re.fullmatch(rf"There (?:is|are) no {re.escape(name)} in the \w+\.", text.strip()):
        return Parsed(False)
    return Parsed(False, (f"The segmentation answer for {name} is malformed and was left out.",))


def changes_in(text: str) -> Parsed[tuple[Change, ...]]:
    """Read a comparison; no changes and no caveats mean that the text says so ("No significant change.")."""
    changes: dict[tuple[str, Laterality | None, str | None], Change] = {}
    caveats: list[str] = []
    silent = True
    for sentence in sentences_of(text):
        lowered = sentence.lower()
        if _NO_CHANGE.match(lowered):
            silent = False
            continue
        change = _change(lowered, sentence)
        if change is None or not sentence.endswith(".") or _CONTROL.search(sentence):
            caveats.append("A sentence of the comparison could not be read and was left out.")
            continue
        silent = False
        key = (change.label, change.laterality, _zone(lowered))
        if changes.setdefault(key, change).status is not change.status:
            caveats.append(
                f"The comparison contradicts itself on {change.label}; the first statement was kept."
            )
    if silent and not caveats:
        caveats.append("The comparison is empty.")
    return Parsed(tuple(dict.fromkeys(changes.values())), tuple(dict.fromkeys(caveats)))


def diagnosis_in(text: str, known: Sequence[str] = SKIN_LESIONS) -> Parsed[str | None]:
    """Read the one diagnosis that an answer names, verbatim."""
    named = [label for label in known if re.search(rf"\b{re.escape(label)}\b", text.lower())]
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


def sentences_of(text: str) -> list[str]:
    """Split into sentences with their full stop; a decimal point ends none, a section heading is dropped."""
    without_headings = re.sub(r"\b(?:Findings|Impression):", " ", text)
    parts = re.split(r"(?<=[.!?])\s+|\n+", without_headings.strip())
    return [part.strip() for part in parts if part.strip()]


def _clause_statements(clause: str, sentence: str) -> list[Statement]:
    if re.search(r"\blungs are (?:\w+ )?clear\b", clause) and not _NEGATION.search(clause):
        return [Statement(label, Presence.ABSENT, None, None, sentence) for label in _LUNG_FINDINGS]
    found: list[Statement] = []
    for label, pattern in _MENTIONS.items():
        match = pattern.search(clause)
        presence = match and (_heart_presence(clause, match) if label == _HEART else _presence(clause, match))
        if not presence:
            continue
        present = presence is not Presence.ABSENT
        side = _laterality(clause) if present and label != _HEART else None
        zone = _zone(clause) if present and label in _LUNG_FINDINGS else None
        found.append(Statement(label, presence, side, zone, sentence))
    return found


def _presence(clause: str, match: re.Match[str]) -> Presence:
    before, after = clause[: match.start()], clause[match.end() :]
    if _DOUBT.search(clause):
        return Presence.UNDETERMINED
    if _NEGATION.search(before) or _NEGATED_AFTER.search(after):
        return Presence.ABSENT
    return Presence.PRESENT


def _heart_presence(clause: str, match: re.Match[str]) -> Presence | None:
    """The heart is always there; only its size is a finding. None if the clause does not tell it."""
    if "enlarged" in clause or "cardiomegaly" in clause:
        negated = bool(re.search(r"\bnot\b[^,]*\benlarged\b", clause))
        return Presence.ABSENT if negated else _presence(clause, match)
    return Presence.ABSENT if re.search(r"\bnormal\b|\bunremarkable\b", clause) else None


def _laterality(clause: str) -> Laterality | None:
    left, right = re.search(r"\bleft\b", clause), re.search(r"\bright\b", clause)
    if re.search(r"\bbilateral(?:ly)?\b|\bboth\b", clause) or (left and right):
        return Laterality.BILATERAL
    if left or right:
        return Laterality.LEFT if left else Laterality.RIGHT
    return None


def _zone(clause: str) -> str | None:
    zones = re.findall(r"\b(upper|mid|middle|lower)\b", clause)
    return {"middle": "mid"}.get(zones[0], zones[0]) if len(set(zones)) == 1 else None


def _change(lowered: str, sentence: str) -> Change | None:
    mentioned = [(label, match) for label, p in _MENTIONS.items() if (match := p.search(lowered))]
    if len(mentioned) != 1:
        return None
    label, match = mentioned[0]
    # Without the label itself, lest "enlarged cardiac silhouette" be read as a change.
    rest = lowered[: match.start()] + lowered[match.end() :]
    statuses = [status for status, pattern in _STATUS.items() if pattern.search(rest)]
    if len(statuses) != 1 or (_NEGATION.search(rest) and statuses[0] is not ChangeStatus.UNCHANGED):
        return None
    return Change(label, statuses[0], None if label == _HEART else _laterality(lowered), sentence)

"""Where a clause places each of its findings, and how large it calls them."""

import re
from dataclasses import dataclass

from model.reading import Laterality
from model.report_language.terms import MEDIAN_LABELS, ZONED_LABELS, Mention

_DELIMITER = re.compile(r",|\b(?:and|or|nor|with|without|as well as|versus)\b")
_SIDE = re.compile(r"\b(?:left|right|bilateral)\b")
_ZONES = {
    "upper": re.compile(r"\b(?:upper(?!\s+abdom)|apical|apex|apices)\b"),
    "mid": re.compile(r"\b(?:mid|middle)\b"),
    "lower": re.compile(r"\b(?:lower|basilar|basal|bases?)\b"),
}
_SEVERITY = re.compile(
    r"\b(?:tiny|trace|minimal|minimally|small|mild|mildly|moderate|moderately|large|severe|severely|massive|"
    r"extensive|marked|markedly)\b"
)


@dataclass(frozen=True, slots=True)
class Place:
    """What a clause says of one finding's place and size."""

    laterality: Laterality | None = None
    zone: str | None = None
    severity: str | None = None


@dataclass(slots=True)
class _Segment:
    """A stretch of a clause without a comma or a conjunction."""

    text: str
    start: int
    link: str
    """The delimiter before it."""
    mentions: list[int]

    @property
    def sides(self) -> set[str]:
        return set(_SIDE.findall(self.text))


def places_of(clause: str, mentions: list[Mention]) -> list[Place]:
    """Place every mention: by the words of its own stretch, else by those that it shares with a neighbour."""
    segments = _segments(clause, mentions)
    places: list[Place] = [Place()] * len(mentions)
    for number, segment in enumerate(segments):
        for n in segment.mentions:
            about = _about(segments, number)
            label = next(iter(mentions[n].labels), "")
            side = None if label in MEDIAN_LABELS else _laterality(about)
            zone = _zone(about) if label in ZONED_LABELS else None
            places[n] = Place(side, zone, _severity(segment, mentions[n]))
    return places


def _segments(clause: str, mentions: list[Mention]) -> list[_Segment]:
    segments: list[_Segment] = []
    start, link = 0, ""
    for match in [*_DELIMITER.finditer(clause), None]:
        end = match.start() if match else len(clause)
        if clause[start:end].strip():
            held = [n for n, mention in enumerate(mentions) if start <= mention.core < end]
            segments.append(_Segment(clause[start:end], start, link, held))
        if match:
            start, link = match.end(), match[0]
    return segments


def _about(segments: list[_Segment], number: int) -> str:
    """The words that place the mentions of a segment."""
    own = segments[number].text + _places_after(segments, number)
    if _SIDE.search(own):
        return own
    before = segments[number - 1] if number else None
    if before is not None and not before.mentions:
        return before.text + " " + own
    if before is not None and segments[number].link not in (",", "without") and before.sides:
        return before.text
    if number + 1 < len(segments):
        after = segments[number + 1]
        if after.link in ("and", "or") and after.mentions and _trails(after):
            return after.text
    return own


def _places_after(segments: list[_Segment], number: int) -> str:
    """Places that follow without a finding of their own: `effusions, left greater than right`."""
    text = ""
    for segment in segments[number + 1 :]:
        if segment.mentions:
            break
        text += " " + segment.text
    return text


def _trails(segment: _Segment) -> bool:
    """Whether the side stands after a preposition at the end, where it holds for a whole list."""
    return bool(re.search(r"\b(?:on|in|at) the (?:left|right)\b", segment.text))


def _laterality(text: str) -> Laterality | None:
    sides = set(_SIDE.findall(text))
    if not sides:
        return None
    if len(sides) > 1 or "bilateral" in sides:
        return Laterality.BILATERAL
    return Laterality(sides.pop())


def _zone(text: str) -> str | None:
    zones = [zone for zone, pattern in _ZONES.items() if pattern.search(text)]
    return zones[0] if len(zones) == 1 else None


def _severity(segment: _Segment, mention: Mention) -> str | None:
    """The last word of size before the finding, or the first after it."""
    middle = mention.core - segment.start
    before = _SEVERITY.findall(segment.text[:middle])
    found = before[-1:] or _SEVERITY.findall(segment.text[middle:])[:1]
    return found[0].removesuffix("ly") if found else None

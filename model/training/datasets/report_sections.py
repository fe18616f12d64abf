"""Cuts a report of MIMIC-CXR into its sections by their headings.

Follows what is known of these reports from the parser that their publishers share (MIT-LCP/mimic-cxr): a
heading is in capitals at the start of a line; of several sections with one name the last that is not empty
counts; headings are misspelled in known ways, and some only describe the views; a few reports have none.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

_HEADING = re.compile(r"\n ([A-Z ()/,-]+):\s")

_MEANINGS: tuple[tuple[str, str], ...] = (
    (r"impression|^conclusion$", "impression"),
    (r"findings", "findings"),
    (r"history|^clinical information$|^pfi$", "history"),
    (r"comparison|^reference exam$", "comparison"),
    (r"addendum", "addendum"),
    (r"^(?:reason for exam(?:ination)?|(?:clinical )?indications?)$", "indication"),
    (r"^(?:type of )?exam(?:ination)?$", "examination"),
    (r"^recommendation(?:s|\(s\))?$", "recommendations"),
    (
        r"chest|portable|\b(?:pa|ap|lateral) and (?:pa|ap|lat)|frontal (?:and|view|upright|semi-upright)|"
        r"(?:two|one) views?|(?:pa|ap|lateral) view|bone window|ribs",
        "findings",
    ),
)
"""What a heading in lower case means, by the first pattern that it holds; the last one describes views."""

_SPELLED = ("impression", "findings", "comparison", "indication")
_CLOSE = 0.85
"""Similarity from which a heading is taken for a misspelled one: `impresson`, `findngs`, `comparision`."""

CONCLUSION_IN: Mapping[str, str] = {
    **dict.fromkeys(
        ("50913680", "59768032", "59067458", "59087630", "58157373", "56482935", "58375018"),
        "recommendations",
    ),
    **dict.fromkeys(("59363654", "53356173", "50743547", "59215320", "55157853"), "examination"),
    **dict.fromkeys(("59279892", "53202765", "50808053"), "technique"),
    **dict.fromkeys(("57936451", "50058765", "51966317", "55124749", "54365831", "54654948"), "indication"),
    "56451190": "note",
    "51491012": "history",
}
"""Studies whose conclusion stands under another heading."""

CONCLUSION_AT: Mapping[str, tuple[int, int]] = {
    "50525523": (201, 349),
    "57564132": (233, 554),
    "59982525": (313, 717),
    "53488209": (149, 475),
    "54875119": (234, 988),
    "50196495": (59, 399),
    "56579911": (59, 218),
    "52648681": (292, 631),
    "59889364": (172, 453),
    "53514462": (73, 377),
    "59505494": (59, 450),
    "53182247": (59, 412),
    "51410602": (47, 320),
    "56412866": (522, 822),
    "54986978": (59, 306),
    "59003148": (262, 505),
    "57150433": (61, 394),
    "56760320": (219, 457),
    "59562049": (158, 348),
    "52674888": (145, 296),
    "55258338": (192, 568),
    "59330497": (140, 655),
    "52119491": (179, 454),
}
"""Studies without usable headings: where their conclusion starts and ends, in characters."""

WITHOUT_CONCLUSION = frozenset(
    {"58235663", "50798377", "54168089", "53071062", "56724958", "54231141", "53607029", "52035334"}
)
"""Studies whose report describes nothing."""


@dataclass(frozen=True, slots=True)
class ReportSections:
    """What a report says, each part with single blanks; None where it is not there or empty."""

    indication: str | None = None
    comparison: str | None = None
    findings: str | None = None
    impression: str | None = None


def sections_of(text: str, study: str = "") -> ReportSections:
    """Cut a report; `study` is its number, without `s`, for the few that need a rule of their own."""
    if study in WITHOUT_CONCLUSION:
        return ReportSections()
    found = dict(_sections(text))
    if study in CONCLUSION_AT:
        start, end = CONCLUSION_AT[study]
        found |= {"findings": "", "impression": _plain(text[start:end])}
    elif study in CONCLUSION_IN:
        found["impression"] = found.pop(CONCLUSION_IN[study], "")
    return ReportSections(
        indication=found.get("indication") or found.get("history") or None,
        comparison=found.get("comparison") or None,
        findings=found.get("findings") or None,
        impression=found.get("impression") or None,
    )


@lru_cache(10_000)
def meaning_of(heading: str) -> str:
    """Say which section a heading begins; itself in lower case where it is none that is known."""
    name = " ".join(heading.lower().split())
    for pattern, meaning in _MEANINGS:
        if re.search(pattern, name):
            return meaning
    close = difflib.get_close_matches(name, _SPELLED, 1, _CLOSE)
    return close[0] if close else name


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield each section that is not empty, in order."""
    headings = list(_headings(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    for heading, end in zip(headings, ends, strict=False):
        if plain := _plain(text[heading.end() : end]):
            yield meaning_of(heading[1]), plain


def _headings(text: str) -> Iterator[re.Match[str]]:
    """Find headings; the first line of a section never holds another one."""
    position = 0
    while heading := _HEADING.search(text, position):
        yield heading
        position = max(text.find("\n", heading.end()), heading.end())


def _plain(text: str) -> str:
    return " ".join(text.split())

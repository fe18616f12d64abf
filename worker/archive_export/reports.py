"""Finds the text of a reader's report in a structured report, section by section, as it was written."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage

from model.imaging.elements import items, text
from structured_reports.content_tree import name_code

_SECTIONS: Mapping[str, str] = {
    **dict.fromkeys(("121070", "121071", "59776-5", "18782-3"), "findings"),
    **dict.fromkeys(("121072", "121073", "121076", "121077", "19005-8"), "impression"),
    **dict.fromkeys(("121060", "121062", "121109", "121110", "11329-0", "55115-0"), "indication"),
    **dict.fromkeys(("121068", "121069", "18834-2", "111424"), "comparison"),
    **dict.fromkeys(("121064", "121065", "55111-9", "121111", "121074", "121075"), "other"),
}
"""Codes of DCM and LOINC for sections and their elements (PS3.16 CID 7001 and 7002)."""

_HEADING = re.compile(
    r"(?:^|(?<=[\n.]))[ \t]*"
    r"(findings?|impressions?|conclusions?|opinion|(?:clinical )?(?:indications?|history|information)|"
    r"reason for (?:exam(?:ination)?|study)|comparisons?|technique|recommendations?|exam(?:ination)?)[ \t]*:",
    re.IGNORECASE,
)
_MEANINGS: Mapping[str, str] = {
    "finding": "findings",
    "impression": "impression",
    "conclusion": "impression",
    "opinion": "impression",
    "comparison": "comparison",
    "technique": "other",
    "recommendation": "other",
    "exam": "other",
    "examination": "other",
}
"""What a heading in lower case and singular means; others tell why the study was made."""


@dataclass(frozen=True, slots=True, repr=False)
class ReportText:
    """What a report says, with whatever identity is in it; None where it says nothing."""

    indication: str | None = None
    comparison: str | None = None
    findings: str | None = None
    impression: str | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.findings or self.impression)


def report_text(document: Dataset) -> ReportText:
    """Collect the TEXT items of a document by the section that they stand in.

    In Basic Text SR, text without a section is cut at headings of its own, and is taken for findings where it
    has none; in other classes it may name or comment anything, and is passed over.
    """
    parts: dict[str, list[str]] = defaultdict(list)
    is_plain = text(document, "SOPClassUID") == BasicTextSRStorage
    for section, told in _texts(document, ""):
        if section:
            parts[section].append(told)
        elif is_plain:
            for name, part in _cut(told):
                parts[name].append(part)
    joined = {name: "\n".join(texts).strip() or None for name, texts in parts.items()}
    return ReportText(
        joined.get("indication"), joined.get("comparison"), joined.get("findings"), joined.get("impression")
    )


def _texts(item: Dataset, section: str) -> Iterator[tuple[str, str]]:
    for child in items(item, "ContentSequence"):
        here = _SECTIONS.get(name_code(child), section)
        if text(child, "ValueType") == "TEXT" and text(child, "TextValue"):
            yield here, text(child, "TextValue")
        yield from _texts(child, here)


def _cut(told: str) -> Iterator[tuple[str, str]]:
    """Cut a text at its headings; what comes before the first is findings."""
    headings = list(_HEADING.finditer(told))
    before = told[: headings[0].start()] if headings else told
    if before.strip():
        yield "findings", before
    ends = [heading.start() for heading in headings[1:]] + [len(told)]
    for heading, end in zip(headings, ends, strict=False):
        name = heading[1].lower().removesuffix("s")
        yield _MEANINGS.get(name, "indication"), told[heading.end() : end]

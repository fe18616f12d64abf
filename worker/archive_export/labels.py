"""Gives published codes of readers' objects the names that training data use."""

from collections.abc import Mapping
from functools import cache

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from model.reading import Laterality, Presence
from structured_reports import codes
from worker.archive_export.coded_entries import UNKNOWN, published_code

_SIDES: Mapping[str, Laterality] = {code.value: side for side, code in codes.SIDES.items()}
_PRESENCES: Mapping[str, bool | None] = {
    codes.PRESENCES[Presence.PRESENT].value: True,
    codes.PRESENCES[Presence.ABSENT].value: False,
    codes.PRESENCES[Presence.UNDETERMINED].value: None,
}


def label_of(code: Code, side: Laterality | None) -> str | None:
    """Name a code as `concepts.tsv` does, or by its published meaning; None for a code of unknown origin."""
    if code == UNKNOWN:
        return None
    named = _labels().get((code.scheme_designator, code.value), {})
    return named.get(side) or named.get(None) or _with_side(str(code.meaning).lower(), side)


def _with_side(name: str, side: Laterality | None) -> str:
    return name if side is None or side is Laterality.BILATERAL else f"{side.value} {name}"


def is_anatomy(code: Code) -> bool:
    """Whether a code names a structure that everybody has."""
    return any(
        concept.code == code and concept.category == codes.ANATOMICAL_STRUCTURE
        for concept in codes.CONCEPTS.values()
    )


def side_of(item: Dataset) -> Laterality | None:
    """Find the side in the modifiers of a coded entry, or in those below a content item."""
    entries = [
        entry
        for keyword in ("SegmentedPropertyTypeModifierCodeSequence", "AnatomicRegionModifierSequence")
        for entry in item.get(keyword, ())
    ]
    entries += [
        entry
        for child in item.get("ContentSequence", ())
        if any(published_code(name) == codes.LATERALITY for name in child.get("ConceptNameCodeSequence", ()))
        for entry in child.get("ConceptCodeSequence", ())
    ]
    return next((side for entry in entries if (side := _SIDES.get(published_code(entry).value))), None)


def presence_of(code: Code) -> bool | None:
    """Read a value of Presence (PS3.16 CID 240); what is none of them is undecided."""
    return _PRESENCES.get(code.value)


@cache
def _labels() -> Mapping[tuple[str, str], Mapping[Laterality | None, str]]:
    """Labels by code and side; the first of several is the usual one."""
    found: dict[tuple[str, str], dict[Laterality | None, str]] = {}
    for label, concept in codes.CONCEPTS.items():
        key = (concept.code.scheme_designator, concept.code.value)
        found.setdefault(key, {}).setdefault(concept.laterality, label)
    return found

"""Keeps coded entries (PS3.3 8.8) whose code is published, with the published meaning; replaces all others.

A code of a hospital's own scheme, or a meaning that somebody typed, may name anything.
"""

from collections.abc import Mapping
from functools import cache

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from structured_reports import codes as report_codes

UNKNOWN = Code("REMOVED", report_codes.LOCAL_SCHEME, "Removed")

MACRO = frozenset(
    (
        *("CodeValue", "LongCodeValue", "URNCodeValue", "CodingSchemeDesignator", "CodingSchemeVersion"),
        *(
            "CodeMeaning",
            "ContextIdentifier",
            "ContextUID",
            "ContextGroupVersion",
            "ContextGroupLocalVersion",
        ),
        *("ContextGroupExtensionFlag", "ContextGroupExtensionCreatorUID", "MappingResource"),
        *("MappingResourceUID", "MappingResourceName", "EquivalentCodeSequence"),
    )
)
"""Attributes of the Code Sequence Macro."""


def is_coded_entry(item: Dataset) -> bool:
    return any(keyword in item for keyword in ("CodeValue", "LongCodeValue", "URNCodeValue"))


def published_code(item: Dataset) -> Code:
    """Find the code of an entry among those of PS3.16 and our own; `UNKNOWN` if it is in neither."""
    value = str(item.get("CodeValue") or item.get("LongCodeValue") or "").strip()
    return _published(value, str(item.get("CodingSchemeDesignator") or "").strip())


def safe_entry(item: Dataset) -> Dataset:
    """Write the entry anew: value, scheme and meaning only."""
    code = published_code(item)
    safe = Dataset()
    setattr(safe, "CodeValue" if len(code.value) <= 16 else "LongCodeValue", code.value)
    safe.CodingSchemeDesignator = code.scheme_designator
    safe.CodeMeaning = code.meaning[:64]
    return safe


@cache
def _published(value: str, scheme: str) -> Code:
    if scheme in ("SRT", "SNM3", "99SDM"):
        # Codes of SNOMED-RT equal those of SNOMED CT that replaced them (PS3.16 8.1).
        old = Code(value, scheme, "")
        return next((code for code in _codes()["SCT"].values() if code == old), UNKNOWN)
    return _codes().get(scheme, {}).get(value, UNKNOWN)


@cache
def _codes() -> Mapping[str, Mapping[str, Code]]:
    known: dict[str, dict[str, Code]] = {}
    for scheme in codes.schemes():
        for code in getattr(codes, scheme).concepts.values():
            known.setdefault(scheme, {}).setdefault(code.value, code)
    own = [code for code in vars(report_codes).values() if isinstance(code, Code)]
    for code in (*own, *(concept.code for concept in report_codes.CONCEPTS.values())):
        known.setdefault(code.scheme_designator, {})[code.value] = code
    return known

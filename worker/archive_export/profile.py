"""What may stay in a data set: the confidentiality profile, the types of attributes, values known to be safe.

`profile.tsv` holds all rows of PS3.15 Table E.1-1 (edition 2026c): the action of the Basic Application Level
Confidentiality Profile, those of the option Retain Longitudinal Temporal Information With Modified Dates and
of the option Retain Patient Characteristics. The profile removes what is listed. We also remove whatever is
neither listed there nor a number, a date, an identifier that is replaced, or a value of `safe_values.tsv`:
an attribute that no table knows may hold a name.
"""

import re
from collections.abc import Mapping
from csv import DictReader
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

Action = Literal["D", "Z", "X", "U"]
AttributeType = Literal["1", "2", "3"]
"""PS3.5 7.4; conditional ones as if the condition held, since the attribute is there."""

_PREFERENCE: Mapping[AttributeType, tuple[Action, ...]] = {
    "1": ("D", "Z", "X"),
    "2": ("Z", "D", "X"),
    "3": ("X", "Z", "D"),
}

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_IODS = (
    *("1", "1.1", "1.1.1", "2", "2.1", "2.2", "7", "7.2", "7.3", "7.4"),
    *("77.1.4", "77.1.7", "66.4", "88.11", "88.22", "88.33", "88.34"),
)
"""SOP classes, in the order of the digits of `attribute_types.tsv`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of Table E.1-1."""

    basic: str
    """Action code of the basic profile: D, Z, X, U, or a choice such as `X/Z/D` that the IOD decides."""
    is_date: bool
    """Whether dates are modified instead, as the option for longitudinal information says."""
    is_characteristic: bool
    """Whether the option for patient characteristics keeps it (K); what it only cleans (C) is removed."""


def resolve(code: str, needed: AttributeType) -> Action:
    """Choose from an action code by the attribute's type in the IOD, as PS3.15 Table E.1-1a asks.

    Sequences of references (`X/Z/U*`) are kept with their UIDs replaced, so that references survive.
    """
    choices = code.replace("*", "").split("/")
    if "U" in choices:
        return "U"
    return next(action for action in _PREFERENCE[needed] if action in choices)


def rule_of(tag: int) -> Rule | None:
    """Find the row of an attribute; curves, overlays and private attributes have one row for many."""
    return read_rules().get(_row(tag))


def _row(tag: int) -> str:
    group = tag >> 16
    if group & 1:
        return "odd"
    if group & 0xFF00 == 0x5000:
        return "50xxxxxx"
    if group & 0xFF00 == 0x6000:
        return f"60xx{tag & 0xFFFF:04X}"
    return f"{tag:08X}"


@cache
def read_rules() -> Mapping[str, Rule]:
    """Read the table: rows by tag, `50xxxxxx` and `60xx3000` for repeating groups, `odd` for private ones."""
    return {
        row["tag"]: Rule(row["basic"], row["dates"] == "C", row["characteristics"] == "K")
        for row in _read("profile.tsv")
    }


def type_of(sop_class_uid: str, keyword: str, *, nested: bool) -> AttributeType:
    """Say whether the IOD of a class needs an attribute (1), takes it empty (2), or can do without (3)."""
    row = _types().get(keyword)
    position = _IODS.index(sop_class_uid[len(_STORAGE) :]) if sop_class_uid[len(_STORAGE) :] in _IODS else -1
    if row is None or position < 0:
        return "3"
    found = row[nested][position]
    return "1" if found == "1" else "2" if found == "2" else "3"


@cache
def _types() -> Mapping[str, tuple[str, str]]:
    return {row["keyword"]: (row["root"], row["nested"]) for row in _read("attribute_types.tsv")}


def is_safe(keyword: str, value: str) -> bool:
    """Say whether an attribute may keep a text: one of its defined terms, or what has their form."""
    pattern = _safe_values().get(keyword)
    return pattern is not None and pattern.fullmatch(value) is not None


@cache
def _safe_values() -> Mapping[str, re.Pattern[str]]:
    return {row["keyword"]: _pattern(row["values"]) for row in _read("safe_values.tsv")}


def _pattern(values: str) -> re.Pattern[str]:
    if values.startswith("/"):
        return re.compile(values[1:])
    return re.compile("|".join(map(re.escape, values.split("|"))))


def _read(name: str) -> list[dict[str, str]]:
    with (files("worker.archive_export") / name).open(encoding="utf-8") as lines:
        return list(DictReader(lines, delimiter="\t"))

"""Attribute matching (PS3.4 C.2.2.2): single value, list of UIDs, wildcard, range, sequence."""

import fnmatch
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from pydicom import DataElement, Dataset
from pydicom.valuerep import PersonName

_RANGED: Final = ("DA", "TM", "DT")
_WILD: Final = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
_NUMBERS: Final = ("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV")


def matches(ds: Dataset, path: Sequence[int], pattern: str) -> bool:
    """Say whether an attribute of a data set matches; an empty pattern, or `*`, matches everything."""
    if pattern in ("", "*"):
        return True
    if path[0] not in ds:
        return False
    element = ds[path[0]]
    if len(path) > 1:
        return element.VR == "SQ" and any(matches(item, path[1:], pattern) for item in element.value or ())
    fits = _matcher(str(element.VR), pattern)
    return any(fits(text) for value in _values(element) for text in _texts(value))


def uids_of(pattern: str) -> tuple[str, ...]:
    """Return the UIDs of a list, which commas or backslashes separate."""
    return tuple(uid.strip() for uid in re.split(r"[,\\]", pattern) if uid.strip())


def _values(element: DataElement) -> Sequence[Any]:
    value: Any = element.value
    if element.is_empty:
        return ()
    return list(value) if element.VM > 1 else [value]


def _texts(value: Any) -> Iterator[str]:
    """Return a value as text; a name in each of its representations."""
    if isinstance(value, PersonName):
        yield from (group.rstrip("^ ") for group in value.components if group)
    else:
        yield str(value).strip()


def _matcher(vr: str, pattern: str) -> Callable[[str], bool]:
    if vr == "UI":
        return frozenset(uids_of(pattern)).__contains__
    if vr in _RANGED and "-" in pattern:
        return _in_range(vr, pattern)
    if vr in _RANGED:
        return lambda text: _moment(vr, text) == _moment(vr, pattern)
    if vr in _NUMBERS:
        return lambda text: _number(text) == _number(pattern)
    if vr == "PN":
        # Whether case counts in names is left to us (PS3.4 C.2.2.2.1).
        compiled = _wildcards(pattern.rstrip("^ ").casefold())
        return lambda text: compiled.fullmatch(text.casefold()) is not None
    if vr in _WILD:
        compiled = _wildcards(pattern.strip())
        return lambda text: compiled.fullmatch(text) is not None
    return lambda text: text == pattern


def _wildcards(pattern: str) -> re.Pattern[str]:
    """Compile a pattern in which `*` and `?` alone are special."""
    # Brackets are special to fnmatch only; runs of stars would take a regular expression long.
    escaped = re.sub(r"\*+", "*", pattern).replace("[", "[[]")
    return re.compile(fnmatch.translate(escaped))


def _in_range(vr: str, pattern: str) -> Callable[[str], bool]:
    first, _, last = pattern.partition("-")
    low, high = _moment(vr, first), _moment(vr, last)

    def fits(text: str) -> bool:
        moment = _moment(vr, text)
        # An end that is less precise includes all that begins with it: 1015 goes to 101559.
        return bool(moment) and low <= moment and (not high or moment <= high or moment.startswith(high))

    return fits


def _moment(vr: str, text: str) -> str:
    """Bring old forms of dates and times (PS3.5 6.2) to the one of today; whole seconds without fraction."""
    plain = text.strip().replace(".", "") if vr == "DA" else text.strip().replace(":", "")
    return re.sub(r"\.0*$", "", plain) if vr == "TM" else plain


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text

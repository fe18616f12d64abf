"""Reads single elements of a header that may be malformed: what cannot be read is as good as absent."""

import re
import struct
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

MALFORMED = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    EOFError,
    struct.error,
)
"""What pydicom and its decoders raise when bytes do not mean what they should (also a RecursionError)."""


def value(ds: Dataset, keyword: str) -> Any:
    """The value of an element; None if it is absent, empty or cannot be parsed."""
    try:
        found = ds.get(keyword)
    except MALFORMED:
        return None
    return None if found is None or found == "" or found == b"" else found


def is_blank(ds: Dataset, keyword: str) -> bool:
    """Whether an element is absent or has no bytes, whatever these would mean."""
    if keyword not in ds:
        return True
    try:
        return ds.get_item(keyword).value in (None, b"", "")
    except MALFORMED:
        return False


def text(ds: Dataset, keyword: str) -> str:
    """The value as one string, values of a multi-valued element joined by a backslash."""
    found = value(ds, keyword)
    if found is None:
        return ""
    parts = found if isinstance(found, MultiValue | list | tuple) else [found]
    return "\\".join(str(part).strip() for part in parts)


def values(ds: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of a multi-valued code string, upper case and stripped."""
    return tuple(part.strip() for part in text(ds, keyword).upper().split("\\") if part.strip())


def words(ds: Dataset, *keywords: str) -> str:
    """What several elements say, as upper-case words between single spaces."""
    joined = " ".join(text(ds, keyword) for keyword in keywords).upper()
    return " ".join(re.sub(r"[_\W]+", " ", joined).split())


def numbers(ds: Dataset, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """The values as finite numbers; None if one is not, or if there are not `count` of them."""
    found = value(ds, keyword)
    parts = found if isinstance(found, MultiValue | list | tuple) else [found]
    try:
        converted = tuple(float(part) for part in parts)
    except (TypeError, ValueError, OverflowError):
        return None
    if not converted or not np.isfinite(converted).all() or (count is not None and len(converted) != count):
        return None
    return converted


def number(ds: Dataset, keyword: str) -> float | None:
    """The first value as a finite number."""
    found = numbers(ds, keyword)
    return found[0] if found else None


def integer(ds: Dataset, keyword: str) -> int | None:
    """The first value if it is a whole number."""
    found = number(ds, keyword)
    return int(found) if found is not None and found == int(found) else None


def items(ds: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none if it is absent or is no sequence."""
    found = value(ds, keyword)
    try:
        return [item for item in found if isinstance(item, Dataset)] if found is not None else []
    except TypeError:
        return []

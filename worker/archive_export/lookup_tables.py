"""Keeps the bytes of look-up tables and no other bytes: numbers, as many as their descriptor declares."""

from collections.abc import Mapping

import numpy as np
from pydicom.dataset import Dataset

from model.imaging.elements import numbers, value

_DESCRIPTORS: Mapping[str, str] = {
    "LUTData": "LUTDescriptor",
    **{
        f"{colour}PaletteColorLookupTableData": f"{colour}PaletteColorLookupTableDescriptor"
        for colour in ("Red", "Green", "Blue", "Alpha")
    },
}
"""By data attribute (PS3.3 C.7.6.3.1.5, C.11.1.1.1)."""


def safe_lookup_table(ds: Dataset, keyword: str) -> bytes | None:
    """Return a table with little-endian words; None for other bytes, or more or less than declared."""
    descriptor = numbers(ds, _DESCRIPTORS[keyword], 3) if keyword in _DESCRIPTORS else None
    data = value(ds, keyword)
    if descriptor is None or not isinstance(data, bytes):
        return None
    entries = int(descriptor[0]) % 2**16 or 2**16
    if len(data) == 2 * entries:
        _, is_little_endian = ds.original_encoding
        return np.frombuffer(data, ">u2").astype("<u2").tobytes() if is_little_endian is False else data
    return data if len(data) == entries + entries % 2 else None

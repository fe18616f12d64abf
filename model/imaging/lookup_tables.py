"""Reads look-up tables: descriptor and data, however a writer packed them (PS3.3 C.11.1.1.1, C.7.6.3.1.5)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from model.errors import PixelError
from model.imaging.elements import numbers, value


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """One table; what lies below or above it maps to its first or last entry."""

    entries: NDArray[np.float64]
    first: int
    """The value that maps to entry 0."""
    bits: int
    """Of each entry, as declared."""

    @property
    def highest(self) -> int:
        """The largest value that an entry may have."""
        return 2**self.bits - 1

    def look_up(self, values: NDArray[Any]) -> NDArray[np.float64]:
        index = np.rint(values) - self._first_for(values)
        return self.entries[np.clip(index, 0, len(self.entries) - 1).astype(np.int64)]

    def _first_for(self, values: NDArray[Any]) -> int:
        """`first` as signed or unsigned: its VR often is not the one that the values ask for."""
        if self.first >= 2**15 and (values.min(initial=0) < 0 or values.max(initial=0) < self.first):
            return self.first - 2**16
        if self.first < 0 <= values.min(initial=0) and values.max(initial=0) >= self.first + 2**16:
            return self.first + 2**16
        return self.first


def lookup_table(ds: Dataset, prefix: str, *, big_endian: bool) -> LookupTable:
    """Read the elements `prefix` Descriptor and `prefix` Data.

    Raises:
        PixelError: the descriptor makes no sense, or there are fewer entries than it says.
    """
    descriptor = numbers(ds, f"{prefix}Descriptor", 3)
    if descriptor is None:
        raise PixelError("LUT Descriptor is malformed")
    count, first, bits = (int(number) for number in descriptor)
    if not 8 <= bits <= 16:
        raise PixelError(f"LUT Descriptor is malformed: {bits} bits per entry")
    # 0 stands for 2**16; a descriptor read as SS has long tables negative.
    count = count % 2**16 or 2**16
    return LookupTable(_entries(value(ds, f"{prefix}Data"), count, bits, big_endian=big_endian), first, bits)


def _entries(data: Any, count: int, bits: int, *, big_endian: bool) -> NDArray[np.float64]:
    """LUT Data as read by pydicom: one or more US, or bytes of OW with one or two bytes per entry."""
    if isinstance(data, bytes):
        wide = len(data) >= 2 * count
        dtype = np.dtype(np.uint16 if wide else np.uint8).newbyteorder(">" if big_endian else "<")
        entries = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)
    else:
        entries = np.atleast_1d(np.asarray([] if data is None else data))
        if entries.dtype.kind in "iu" and bits == 8 and entries.size < count <= 2 * entries.size:
            entries = (entries % 2**16).astype("<u2").view(np.uint8)
    if entries.size < count or entries.dtype.kind not in "iuf":
        raise PixelError("LUT Data is shorter than its descriptor says")
    return entries[:count].astype(np.float64)

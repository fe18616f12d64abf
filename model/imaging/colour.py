"""Colour as a reader sees it: samples or a palette become RGB, 0 to 1."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from model.errors import PixelError
from model.imaging.decoding import is_big_endian
from model.imaging.elements import MALFORMED, integer, is_blank, numbers
from model.imaging.lookup_tables import lookup_table

_CHANNELS = ("Red", "Green", "Blue")


def true_colour(ds: Dataset, stored: NDArray[np.integer]) -> NDArray[np.float32]:
    """Scale (J, I, 3) samples by Bits Stored."""
    shown = stored.astype(np.float32)
    shown /= np.float32(2 ** (integer(ds, "BitsStored") or 8) - 1)
    return np.clip(shown, 0, 1, out=shown)


def palette_colour(ds: Dataset, indices: NDArray[np.integer]) -> NDArray[np.float32]:
    """Look up (N,) palette indices: (N, 3) (PS3.3 C.7.6.3.1.5, C.7.9).

    Raises:
        PixelError: a table is missing or malformed.
    """
    if is_blank(ds, "RedPaletteColorLookupTableData"):
        colour, highest = _segmented(ds, indices)
    else:
        names = [f"{channel}PaletteColorLookupTable" for channel in _CHANNELS]
        tables = [lookup_table(ds, name, big_endian=is_big_endian(ds)) for name in names]
        colour = np.stack([table.look_up(indices) for table in tables], axis=-1)
        # Entries of 16 bits are common where the descriptor says 8 (their low byte repeated in the high one).
        highest = max(table.highest for table in tables)
        highest = 2**16 - 1 if max(table.entries.max() for table in tables) > highest else highest
    return np.clip(colour / highest, 0, 1).astype(np.float32)


def _segmented(ds: Dataset, indices: NDArray[np.integer]) -> tuple[NDArray[Any], int]:
    descriptor = numbers(ds, "RedPaletteColorLookupTableDescriptor", 3)
    if descriptor is None or descriptor[2] not in (8, 16):
        raise PixelError("the palette is malformed")
    try:
        return apply_color_lut(indices, ds)[..., :3], 2 ** int(descriptor[2]) - 1
    except (*MALFORMED, NotImplementedError) as exc:
        raise PixelError("the palette is malformed") from exc

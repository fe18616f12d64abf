"""Grey as a reader sees it: Modality LUT, VOI LUT, polarity and padding of one frame.

Every function is written to the formulas of PS3.3 C.11.1 (Modality LUT), C.11.2 (VOI LUT) and C.7.6.3. All
of them map a stored value without regard to its neighbours, so they run on the distinct values of a frame, of
which there are far fewer than pixels.
"""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from model.errors import PixelError
from model.imaging.colour import palette_colour, true_colour
from model.imaging.decoding import is_big_endian
from model.imaging.elements import integer, items, number, numbers, text
from model.imaging.functional_groups import groups_of_frame, macro
from model.imaging.lookup_tables import LookupTable, lookup_table

PERCENTILES = (0.5, 99.5)
"""What becomes black and white where the header has no window."""

LEAST_SHOWN = 0.005
"""Standard deviation of grey, 0 to 1, below which a window shows nothing and is not believed."""

MOST_LEVELS = 2**20
"""Widest range of stored values that is counted value by value."""

logger = logging.getLogger(__name__)

_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")


def display_values(ds: Dataset, stored: NDArray[np.integer], index: int = 0) -> NDArray[np.float32]:
    """Map stored values of frame `index` to what a monitor shows: (J, I) grey or (J, I, 3) RGB, 0 to 1.

    Padded pixels are black. The first VOI LUT or window of the header is used; without one, robust
    percentiles of the picture are.

    Raises:
        PixelError: the photometric interpretation is not supported, or a look-up table is malformed.
    """
    photometric = text(ds, "PhotometricInterpretation").upper()
    if stored.ndim == 3:
        return true_colour(ds, stored)
    levels, counts, places = _distinct(stored)
    if photometric == "PALETTE COLOR":
        return palette_colour(ds, levels)[places]
    if photometric not in _MONOCHROME:
        raise PixelError("the photometric interpretation is not supported")
    padding = padding_mask(ds, levels)
    grey = voi_values(ds, modality_values(ds, levels, index), np.where(padding, 0, counts), index)
    if photometric == "MONOCHROME1" or text(ds, "PresentationLUTShape").upper() == "INVERSE":
        # One inversion, not two: DX requires INVERSE together with MONOCHROME1 (PS3.3 C.8.11.3.1.2).
        grey = 1 - grey
    return np.where(padding, np.float32(0), grey).astype(np.float32)[places]


def modality_values(ds: Dataset, stored: NDArray[np.integer], index: int = 0) -> NDArray[np.float64]:
    """Apply the Modality LUT or the rescale of frame `index`; a missing slope is 1, a missing intercept 0.

    Raises:
        PixelError: the slope is zero or the table is malformed.
    """
    table = _first_table(ds, ds, "ModalityLUTSequence")
    if table:
        return table.look_up(stored.astype(np.float64))
    header = macro(groups_of_frame(ds, index), "PixelValueTransformationSequence")
    return rescale(stored, number(header, "RescaleSlope"), number(header, "RescaleIntercept"))


def rescale(stored: NDArray[np.integer], slope: float | None, intercept: float | None) -> NDArray[np.float64]:
    """Apply a linear Modality LUT (PS3.3 C.11.1.1.2)."""
    if slope == 0:
        raise PixelError("Rescale Slope is zero")
    return stored * np.float64(1 if slope is None else slope) + (intercept or 0)


def voi_values(
    ds: Dataset, modality: NDArray[np.float64], counts: NDArray[np.integer], index: int = 0
) -> NDArray[np.float32]:
    """Apply the first VOI LUT, else the first window, else percentiles; 0 to 1.

    `counts` says how many pixels have each value. A window in which nothing can be told apart was written
    for other values and is passed over.
    """
    header = macro(groups_of_frame(ds, index), "FrameVOILUTSequence")
    table = _first_table(header, ds, "VOILUTSequence")
    if table:
        return _to_unit(table.look_up(modality), 0, table.highest)
    if not counts.any():
        return np.zeros(modality.shape, np.float32)
    centers, widths = numbers(header, "WindowCenter"), numbers(header, "WindowWidth")
    function = text(header, "VOILUTFunction").upper() or "LINEAR"
    if centers and widths and widths[0] >= (1 if function == "LINEAR" else np.finfo(float).tiny):
        windowed = window(modality, centers[0], widths[0], function)
        if _deviation(windowed, counts) >= LEAST_SHOWN:
            return windowed
        logger.warning("the header's window shows nothing and was not used")
    return _to_unit(modality, *_percentiles(modality, counts))


def window(
    values: NDArray[np.float64], center: float, width: float, function: str = "LINEAR"
) -> NDArray[np.float32]:
    """Apply a window to 0..1 by PS3.3 C.11.2.1.2 (LINEAR) and C.11.2.1.3 (SIGMOID, LINEAR_EXACT)."""
    if function == "SIGMOID":
        exponent = np.clip(-4 * (values - center) / width, -700, 700)
        return (1 / (1 + np.exp(exponent))).astype(np.float32)
    if function == "LINEAR_EXACT":
        return _to_unit(values, center - width / 2, center + width / 2)
    if function != "LINEAR":
        raise PixelError("the VOI LUT Function is not known")
    if width == 1:
        return (values > center - 0.5).astype(np.float32)
    low = center - 0.5 - (width - 1) / 2
    return _to_unit(values, low, low + width - 1)


def padding_mask(ds: Dataset, stored: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Where pixels only fill the rectangle: Pixel Padding Value to its Range Limit (PS3.3 C.7.5.1.1.2)."""
    first = _stored_number(ds, "PixelPaddingValue")
    if first is None:
        return np.zeros(stored.shape, np.bool_)
    limit = _stored_number(ds, "PixelPaddingRangeLimit")
    low, high = sorted((first, first if limit is None else limit))
    return (stored >= low) & (stored <= high)


def _stored_number(ds: Dataset, keyword: str) -> int | None:
    """An element of VR US or SS, read as Pixel Representation says even if a writer chose the other."""
    found = integer(ds, keyword)
    if found is None:
        return None
    signed, size = integer(ds, "PixelRepresentation") == 1, 1 << (integer(ds, "BitsAllocated") or 16)
    if signed and found >= size // 2:
        return found - size
    return found + size if not signed and found < 0 else found


def _first_table(header: Dataset, ds: Dataset, sequence: str) -> LookupTable | None:
    tables = items(header, sequence)
    return lookup_table(tables[0], "LUT", big_endian=is_big_endian(ds)) if tables else None


def _distinct(stored: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The values of a frame in order, how many pixels have each, and which one each pixel has."""
    low, high = int(stored.min()), int(stored.max())
    if high - low < MOST_LEVELS:
        places = np.subtract(stored, low, dtype=np.int64)
        return np.arange(low, high + 1), np.bincount(places.ravel()), places
    levels, places, counts = np.unique(stored, return_inverse=True, return_counts=True)
    return levels.astype(np.int64), counts, places.reshape(stored.shape)


def _deviation(values: NDArray[np.float32], counts: NDArray[np.integer]) -> float:
    """Standard deviation over all pixels."""
    mean = np.average(values, weights=counts)
    return float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))


def _percentiles(values: NDArray[np.float64], counts: NDArray[np.integer]) -> tuple[float, float]:
    """`PERCENTILES` over all pixels, between neighbouring ranks by linear interpolation."""
    order = np.argsort(values, kind="stable")
    up_to = np.cumsum(counts[order])
    rank = np.array(PERCENTILES) / 100 * (up_to[-1] - 1)
    below = values[order][np.searchsorted(up_to, np.floor(rank), side="right")]
    above = values[order][np.searchsorted(up_to, np.ceil(rank), side="right")]
    low, high = below + (above - below) * (rank % 1)
    return float(low), float(high)


def _to_unit(values: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    if high <= low:
        return np.zeros(values.shape, np.float32)
    return np.clip((values - low) / (high - low), 0, 1).astype(np.float32)

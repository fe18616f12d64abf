"""Grey and colour as a reader sees them: Modality LUT, VOI LUT, polarity and padding of one frame.

Every function is written to the formulas of PS3.3 C.11.1 (Modality LUT), C.11.2 (VOI LUT) and C.7.6.3.
"""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from model.errors import PixelError
from model.imaging.decoding import is_big_endian
from model.imaging.elements import MALFORMED, integer, items, number, numbers, text, value

PERCENTILES = (0.5, 99.5)
"""What becomes black and white where the header has no window."""

LEAST_SHOWN = 0.005
"""Standard deviation of grey, 0 to 1, below which a window shows nothing and is not believed."""

logger = logging.getLogger(__name__)

_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")


def display_values(ds: Dataset, stored: NDArray[np.integer]) -> NDArray[np.float32]:
    """Map stored values of one frame to what a monitor shows: (J, I) grey or (J, I, 3) RGB, 0 to 1.

    Padded pixels are black. The first VOI LUT or window of the header is used; without one, robust
    percentiles of the picture are.

    Raises:
        PixelError: the photometric interpretation is not supported, or a look-up table is malformed.
    """
    photometric = text(ds, "PhotometricInterpretation").upper()
    if stored.ndim == 3:
        return _to_unit(stored, 0, 2 ** (integer(ds, "BitsStored") or 8) - 1)
    if photometric == "PALETTE COLOR":
        return _palette(ds, stored)
    if photometric not in _MONOCHROME:
        raise PixelError("the photometric interpretation is not supported")
    padding = padding_mask(ds, stored)
    grey = voi_values(ds, modality_values(ds, stored), ~padding)
    if photometric == "MONOCHROME1" or text(ds, "PresentationLUTShape").upper() == "INVERSE":
        # One inversion, not two: DX requires INVERSE together with MONOCHROME1 (PS3.3 C.8.11.3.1.2).
        grey = 1 - grey
    return np.where(padding, np.float32(0), grey).astype(np.float32)


def modality_values(ds: Dataset, stored: NDArray[np.integer]) -> NDArray[np.float64]:
    """Apply the Modality LUT or the rescale of the header; a missing slope is 1, a missing intercept 0.

    Raises:
        PixelError: the slope is zero or the table is malformed.
    """
    tables = items(ds, "ModalityLUTSequence")
    if tables:
        return _look_up(stored.astype(np.float64), tables[0], big_endian=is_big_endian(ds))[0]
    return rescale(stored, number(ds, "RescaleSlope"), number(ds, "RescaleIntercept"))


def rescale(stored: NDArray[np.integer], slope: float | None, intercept: float | None) -> NDArray[np.float64]:
    """Apply a linear Modality LUT (PS3.3 C.11.1.1.2)."""
    if slope == 0:
        raise PixelError("Rescale Slope is zero")
    return stored * np.float64(1 if slope is None else slope) + (intercept or 0)


def voi_values(ds: Dataset, modality: NDArray[np.float64], shown: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Apply the first VOI LUT, else the first window, else percentiles of the `shown` pixels; 0 to 1.

    A window in which nothing can be told apart was written for other values and is passed over.
    """
    tables = items(ds, "VOILUTSequence")
    if tables:
        looked_up, highest = _look_up(modality, tables[0], big_endian=is_big_endian(ds))
        return _to_unit(looked_up, 0, highest)
    centers, widths = numbers(ds, "WindowCenter"), numbers(ds, "WindowWidth")
    function = text(ds, "VOILUTFunction").upper() or "LINEAR"
    if not shown.any():
        return np.zeros(modality.shape, np.float32)
    if centers and widths and widths[0] >= (1 if function == "LINEAR" else np.finfo(float).tiny):
        windowed = window(modality, centers[0], widths[0], function)
        if float(windowed[shown].std()) >= LEAST_SHOWN:
            return windowed
        logger.warning("the header's window shows nothing and was not used")
    low, high = np.percentile(modality[shown], PERCENTILES)
    return _to_unit(modality, low, high)


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


def _to_unit(values: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    if high <= low:
        return np.zeros(values.shape, np.float32)
    return np.clip((values - low) / (high - low), 0, 1).astype(np.float32)


def _look_up(
    values: NDArray[np.float64], item: Dataset, *, big_endian: bool
) -> tuple[NDArray[np.float64], int]:
    """Map values through one LUT item (PS3.3 C.11.1.1.1); also the largest value that an entry may be."""
    descriptor = numbers(item, "LUTDescriptor", 3)
    if descriptor is None:
        raise PixelError("LUT Descriptor is malformed")
    count, first, bits = (int(number) for number in descriptor)
    count = count or 2**16
    entries = _lut_entries(value(item, "LUTData"), count, big_endian=big_endian)
    if first >= 2**15 and values.min(initial=0) < 0:
        first -= 2**16
    index = np.clip(np.rint(values) - first, 0, count - 1).astype(np.int64)
    return entries[index], 2**bits - 1


def _lut_entries(data: Any, count: int, *, big_endian: bool) -> NDArray[np.float64]:
    """LUT Data as read by pydicom: a list of US, or bytes of OW with one or two bytes per entry."""
    if isinstance(data, bytes):
        wide = len(data) >= 2 * count
        dtype = np.dtype(np.uint16 if wide else np.uint8).newbyteorder(">" if big_endian else "<")
        entries = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)
    else:
        entries = np.atleast_1d(np.asarray([] if data is None else data))
    if entries.size < count or entries.dtype.kind not in "iuf":
        raise PixelError("LUT Data is shorter than its descriptor says")
    return entries[:count].astype(np.float64)


def _palette(ds: Dataset, stored: NDArray[np.integer]) -> NDArray[np.float32]:
    try:
        colour = apply_color_lut(stored, ds)
    except (*MALFORMED, NotImplementedError) as exc:
        raise PixelError("the palette is malformed") from exc
    return _to_unit(colour[..., :3], 0, np.iinfo(colour.dtype).max)

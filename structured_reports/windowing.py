"""One frame as a reader sees it: Modality LUT, VOI, polarity (PS3.3 C.11)."""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_modality_lut, apply_voi
from pydicom.pixels.utils import pixel_array

_ABDOMEN = (40.0, 400.0)
"""Centre and width in Hounsfield units for a CT that names no window."""


def as_a_reader_sees_it(source: Dataset, frame_number: int = 1) -> NDArray[np.uint8]:
    """Window one frame into (Rows, Columns) grey or (Rows, Columns, 3) RGB.

    Raises:
        ValueError, RuntimeError: the pixel data cannot be decoded.
    """
    index = frame_number - 1 if source.get("NumberOfFrames") else 0
    pixels = pixel_array(source, index=index)
    if pixels.ndim == 3:
        top = float(2 ** int(source.BitsStored) - 1)
        return (pixels.astype(np.float64) * (255 / top)).clip(0, 255).astype(np.uint8)
    parameters = _of_frame(source, frame_number)
    values = np.asarray(apply_modality_lut(pixels, parameters))
    parts = _voi(values, parameters).clip(0, 1)
    if source.PhotometricInterpretation == "MONOCHROME1":
        parts = 1 - parts
    return np.rint(parts * 255).astype(np.uint8)


def _voi(values: NDArray[np.generic], parameters: Dataset) -> NDArray[np.float64]:
    """Map to 0 … 1 by VOI LUT, else by the first window, else by what the image holds."""
    if parameters.get("VOILUTSequence"):
        shown = np.asarray(apply_voi(values.astype(np.int64), parameters), dtype=np.float64)
        top: float = 2 ** int(parameters.VOILUTSequence[0].LUTDescriptor[2]) - 1
        return shown / top
    exact = values.astype(np.float64)
    centre, width = _first(parameters, "WindowCenter"), _first(parameters, "WindowWidth")
    if centre is not None and width is not None and width >= 1:
        return _windowed(exact, centre, width, str(parameters.get("VOILUTFunction") or "LINEAR"))
    if parameters.get("Modality") == "CT":
        return _windowed(exact, *_ABDOMEN, "LINEAR")
    low, high = (float(value) for value in np.percentile(exact, (0.5, 99.5)))
    return (exact - low) / max(high - low, 1e-6)


def _windowed(values: NDArray[np.float64], centre: float, width: float, function: str) -> NDArray[np.float64]:
    """Apply PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (values - centre) / width))
    if function == "LINEAR":
        centre, width = centre - 0.5, max(width - 1, 1e-6)
    return (values - centre) / width + 0.5


def _of_frame(source: Dataset, frame_number: int) -> Dataset:
    """Gather rescale and window, which an enhanced image keeps in its functional groups."""
    parameters = Dataset()
    keywords = ("Modality", "PixelRepresentation", "BitsStored", "BitsAllocated", "ModalityLUTSequence")
    voi = (
        "RescaleSlope",
        "RescaleIntercept",
        "WindowCenter",
        "WindowWidth",
        "VOILUTFunction",
        "VOILUTSequence",
    )
    holders = [source, *source.get("SharedFunctionalGroupsSequence", ())]
    holders += list(source.get("PerFrameFunctionalGroupsSequence", ()))[frame_number - 1 : frame_number]
    for holder in holders:
        items = [*holder.get("PixelValueTransformationSequence", ()), *holder.get("FrameVOILUTSequence", ())]
        for item in (holder, *items):
            for keyword in (*keywords, *voi):
                if item.get(keyword) not in (None, ""):
                    parameters[keyword] = item[keyword]
    return parameters


def _first(parameters: Dataset, keyword: str) -> float | None:
    value = parameters.get(keyword)
    if isinstance(value, MultiValue):
        value = value[0] if len(value) else None
    return None if value is None or value == "" else float(value)

"""WADO-RS rendered resources (PS3.18 10.4.1.1.3): one frame as JPEG or PNG, shown as its header says."""

import math
from functools import partial
from http import HTTPStatus
from io import BytesIO
from typing import Any, Final

import numpy as np
from anyio.to_thread import run_sync
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
from starlette.requests import Request
from starlette.responses import Response

from dicom_node.errors import RequestError
from dicom_node.study import Instance
from dicom_node.unreadable import UNREADABLE
from dicom_node.web.frames import check_frames, frame_numbers
from dicom_node.web.negotiation import wanted
from dicom_node.web.retrieve import instances_of
from dicom_node.web.service import Service, place_of

FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG"}
"""Media types, the default first."""
MOST_PIXELS: Final = 16384
"""Largest width and height that may be asked for."""
_JPEG_QUALITY: Final = 90


async def rendered(service: Service, request: Request, caller: str) -> Response:
    """Send a picture of a frame, the first one if the path names none."""
    kind = next((kind for each in wanted(request, "*/*") for kind in FORMATS if each.covers(kind)), None)
    if kind is None:
        raise RequestError(HTTPStatus.NOT_ACCEPTABLE, f"pictures are {' or '.join(FORMATS)}")
    numbers = frame_numbers(str(request.path_params.get("frames", 1)))
    if len(numbers) > 1:
        raise RequestError(HTTPStatus.NOT_ACCEPTABLE, "several frames do not fit into one picture")
    quality, window, viewport = (request.query_params.get(name) for name in ("quality", "window", "viewport"))
    options = {
        "quality": _numbers(quality, 1, 1, 100),
        "window": _window(window),
        "size": _viewport(viewport),
    }
    (instance,) = await instances_of(service, place_of(request.path_params))
    draw = partial(_drawn, service, instance, numbers[0], kind, **options)
    return Response(await run_sync(draw), media_type=kind)


def _numbers(text: str | None, count: int, low: float, high: float) -> list[float]:
    """Read numbers within bounds; none where the parameter is not there.

    Raises:
        RequestError: 400.
    """
    try:
        found = [float(each) for each in text.split(",")[:count]] if text else []
    except ValueError:
        found = [math.nan]
    if not all(low <= each <= high for each in found) or (found and len(found) < count):
        raise RequestError(HTTPStatus.BAD_REQUEST, "quality, window or viewport cannot be understood")
    return found


def _window(text: str | None) -> list[float]:
    """Read centre and width; the function is linear (8.3.5.1.4)."""
    found = _numbers(text, 2, -1e9, 1e9)
    if found and (found[1] < 1 or (text or "").split(",")[2:3] not in ([], ["linear"])):
        raise RequestError(HTTPStatus.BAD_REQUEST, "a window has a width of at least 1 and function linear")
    return found


def _viewport(text: str | None) -> list[float]:
    """Read width and height (8.3.5.1.3); parts of an image are not cut out."""
    if text and text.count(",") > 1:
        raise RequestError(HTTPStatus.BAD_REQUEST, "a viewport is width,height")
    return _numbers(text, 2, 1, MOST_PIXELS)


def _drawn(service: Service, instance: Instance, number: int, kind: str, **options: list[float]) -> bytes:
    with service.decoding:
        ds = service.store.read(instance)
        check_frames(ds, [number])
        try:
            pixels = displayed(ds, number, options["window"])
        except UNREADABLE as exc:
            raise RequestError(HTTPStatus.NOT_ACCEPTABLE, "the frame cannot be rendered") from exc
    picture = Image.fromarray(pixels)
    if options["size"]:
        width, height = options["size"]
        scale = min(width / picture.width, height / picture.height)
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    out = BytesIO()
    quality = int(options["quality"][0]) if options["quality"] else _JPEG_QUALITY
    picture.save(out, FORMATS[kind], **({"quality": quality} if kind == "image/jpeg" else {}))
    return out.getvalue()


def displayed(ds: Dataset, number: int, window: list[float]) -> NDArray[np.uint8]:
    """Return a frame as it is shown, (rows, columns) or (rows, columns, 3) uint8.

    Grey values go through Modality LUT, then the window asked for, else the first VOI LUT or window of the
    header, else all values that occur; MONOCHROME1 is turned, as is an inverse Presentation LUT (PS3.3 C.11).
    """
    array, _ = get_decoder(ds.file_meta.TransferSyntaxUID).as_array(ds, index=number - 1)
    photometric = str(ds.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        array = apply_color_lut(array, ds)
        return _scaled(array, 0, np.iinfo(array.dtype).max)
    if int(ds.get("SamplesPerPixel", 1)) == 3:
        return _scaled(array, 0, (1 << int(ds.BitsStored)) - 1)
    shown = _windowed(apply_modality_lut(array, ds), ds, window)
    is_turned = photometric == "MONOCHROME1" or ds.get("PresentationLUTShape") == "INVERSE"
    return 255 - shown if is_turned else shown


def _windowed(grey: NDArray[Any], ds: Dataset, window: list[float]) -> NDArray[np.uint8]:
    if not window and ds.get("VOILUTSequence"):
        table = ds.VOILUTSequence[0].LUTDescriptor
        return _scaled(apply_voi_lut(grey, ds, index=0, prefer_lut=True), 0, (1 << int(table[2])) - 1)
    if not window and ds.get("WindowCenter") is not None and ds.get("WindowWidth"):
        window = [_first(ds["WindowCenter"].value), max(1.0, _first(ds["WindowWidth"].value))]
    if window:
        centre, width = window
        # PS3.3 C.11.2.1.2.1
        return _scaled(grey, centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)
    return _scaled(grey, float(grey.min()), float(grey.max()))


def _first(value: Any) -> float:
    return float(value[0] if isinstance(value, MultiValue) else value)


def _scaled(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    span = max(high - low, 1e-9)
    return np.rint(np.clip((values.astype(np.float64) - low) / span, 0, 1) * 255).astype(np.uint8)

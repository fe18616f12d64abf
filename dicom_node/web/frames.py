"""WADO-RS frames (PS3.18 10.4.1.1.6): as they are stored or uncompressed, each in a part."""

from collections.abc import Iterator, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

import numpy as np
from anyio.to_thread import run_sync
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, ExplicitVRBigEndian
from starlette.requests import Request
from starlette.responses import Response

from dicom_node.errors import RequestError
from dicom_node.study import Instance
from dicom_node.unreadable import UNREADABLE
from dicom_node.web.negotiation import (
    EXPLICIT,
    NATIVE,
    OCTETS,
    frame_goes_as_stored,
    frames_go_decoded,
    is_decodable,
)
from dicom_node.web.retrieve import Part, in_parts, instances_of, turned
from dicom_node.web.service import Service, place_of

MOST_FRAMES = 10_000
"""Numbers in the path of one request."""


async def frames(service: Service, request: Request, caller: str) -> Response:
    """Send some frames of an instance."""
    numbers = frame_numbers(str(request.path_params["frames"]))
    (instance,) = await instances_of(service, place_of(request.path_params))
    return await run_sync(partial(frames_of, service, request, instance, numbers=numbers))


def frames_of(
    service: Service, request: Request, instance: Instance, *, numbers: Sequence[int] = ()
) -> Response:
    """Answer with some frames, or with all.

    Raises:
        RequestError: 404 if there is no such frame, 406 if it cannot be sent as accepted.
    """
    stored = instance.transfer_syntax_uid
    kind = frame_goes_as_stored(request, stored)
    if kind is None and not (frames_go_decoded(request) and is_decodable(stored)):
        raise RequestError(HTTPStatus.NOT_ACCEPTABLE, f"frames are sent as stored ({stored}) or as {OCTETS}")
    with service.decoding:
        ds = service.store.read(instance)
    count = check_frames(ds, numbers)
    wanted = numbers or range(1, count + 1)
    if kind is None:
        return in_parts(_decoded(service, ds, wanted), OCTETS)
    return in_parts(_as_stored(ds, wanted, count, kind), kind.partition(";")[0])


def frame_numbers(text: str) -> list[int]:
    """Read the list of a path.

    Raises:
        RequestError: 400 if it is none.
    """
    numbers = text.split(",")
    if len(numbers) > MOST_FRAMES or not all(
        each.isascii() and each.isdigit() and 0 < len(each) < 10 and int(each) > 0 for each in numbers
    ):
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "frames are named by numbers from 1 on, with commas between"
        )
    return [int(each) for each in numbers]


def check_frames(ds: Dataset, numbers: Sequence[int]) -> int:
    """Return how many frames there are.

    Raises:
        RequestError: 404 if the instance lacks one that is asked for.
    """
    count = int(ds.get("NumberOfFrames") or 1) if "PixelData" in ds else 0
    if not count or any(number > count for number in numbers):
        raise RequestError(HTTPStatus.NOT_FOUND, "there is no such frame")
    return count


def _as_stored(ds: Dataset, numbers: Sequence[int], count: int, kind: str) -> Iterator[Part]:
    for number in numbers:
        yield kind, (get_frame(ds.PixelData, number - 1, number_of_frames=count),)


def _decoded(service: Service, ds: Dataset, numbers: Sequence[int]) -> Iterator[Part]:
    """Decode frames one by one, the first one at once, so that a failure is told before an answer begins."""
    kind = f"{OCTETS}; transfer-syntax={EXPLICIT}"
    first = decoded_frame(ds, numbers[0])

    def parts() -> Iterator[Part]:
        yield kind, (first,)
        for number in numbers[1:]:
            with service.decoding:
                content = decoded_frame(ds, number)
            yield kind, (content,)

    return parts()


def decoded_frame(ds: Dataset, number: int) -> bytes:
    """Return the pixels of a frame, little endian, in the order of planes that the header says.

    Raises:
        RequestError: 406 if they cannot be decoded.
    """
    syntax = UID(ds.file_meta.TransferSyntaxUID)
    try:
        if syntax in NATIVE:
            return _cut_out(ds, number, is_big_endian=syntax == ExplicitVRBigEndian)
        array, _ = get_decoder(syntax).as_array(ds, index=number - 1, raw=True)
        little: Any = array.astype(array.dtype.newbyteorder("<"), copy=False)
        return bytes(little.tobytes())
    except UNREADABLE as exc:
        raise RequestError(HTTPStatus.NOT_ACCEPTABLE, "the frame cannot be decoded") from exc


def _cut_out(ds: Dataset, number: int, *, is_big_endian: bool) -> bytes:
    """Cut a native frame out: frames follow each other without padding, single bits too (PS3.5 8.1.1)."""
    samples = 2 if ds.get("PhotometricInterpretation") == "YBR_FULL_422" else ds.get("SamplesPerPixel", 1)
    length = int(ds.Rows) * int(ds.Columns) * int(samples) * int(ds.BitsAllocated)
    first = (number - 1) * length
    content = ds.PixelData[first // 8 : (first + length + 7) // 8]
    if len(content) * 8 < length:
        raise ValueError("the pixel data are too short")
    if length % 8:
        bits = np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little")[first % 8 :][:length]
        return np.packbits(bits, bitorder="little").tobytes()
    return (
        turned(content, str(ds["PixelData"].VR)) if is_big_endian and ds["PixelData"].VR == "OW" else content
    )

"""WADO-RS metadata and bulk data (PS3.18 10.4, Annex F): headers as JSON, with links to large values."""

import json
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from anyio.to_thread import run_sync
from pydicom import DataElement, Dataset, dcmread
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.uid import ExplicitVRBigEndian
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from dicom_node.errors import RequestError
from dicom_node.study import Instance
from dicom_node.unreadable import UNREADABLE
from dicom_node.web.frames import frames_of
from dicom_node.web.headers import from_index
from dicom_node.web.negotiation import NATIVE, OCTETS, parts_wanted, wanted
from dicom_node.web.retrieve import BYTES_OF_A_WORD, in_parts, instances_of, turned
from dicom_node.web.search import UTF_8, check_json
from dicom_node.web.service import JSON, Place, Service, place_of

logger = logging.getLogger(__name__)

BULK_VRS: Final = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
PIXEL_DATA: Final = "7FE00010"
LARGEST_INLINE: Final = 1024
"""Bytes of a binary value that still stands in the answer itself."""
_DEFERRED: Final = 1 << 16
_MOST_DEPTH: Final = 32

Json = dict[str, Any]


async def metadata(service: Service, request: Request, caller: str) -> Response:
    """Send the headers of all instances of a study or series, or of one."""
    check_json(request)
    instances = await instances_of(service, place_of(request.path_params))
    return StreamingResponse(_array(instances, partial(service.url, request)), media_type=JSON)


def _array(instances: Sequence[Instance], url: Any) -> Iterator[bytes]:
    """Yield one JSON array, instance by instance."""
    opening = b"["
    for instance in instances:
        place = Place(instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid)
        told = json_of(_header(instance), url(f"{place.path}/bulkdata/"))
        told["00080005"] = {"vr": "CS", "Value": [UTF_8]}
        yield opening + json.dumps(told).encode()
        opening = b","
    yield b"]"


def _header(instance: Instance) -> Dataset:
    try:
        return dcmread(instance.path, defer_size=_DEFERRED)
    except UNREADABLE as exc:
        # Its neighbours are told all the same.
        logger.warning("an instance cannot be parsed", extra={"error": type(exc).__name__})
        return from_index(instance)


def json_of(ds: Dataset, url: str, depth: int = 0) -> Json:
    """Return a data set in the DICOM JSON model; `url` is what links to its bulk data begin with."""
    found: Json = {}
    for tag in sorted(ds.keys()):
        key = f"{tag:08X}"
        raw = ds.get_item(tag)
        vr = _vr(raw)
        if key == PIXEL_DATA or (vr in BULK_VRS and _is_large(raw)):
            found[key] = {"vr": vr, "BulkDataURI": url + key}
            continue
        try:
            element = ds[tag]
            if element.VR != "SQ":
                found[key] = element.to_json_dict(None, LARGEST_INLINE)
            elif depth < _MOST_DEPTH:
                items = enumerate(element.value or ())
                values = [json_of(item, f"{url}{key}/{number}/", depth + 1) for number, item in items]
                found[key] = {"vr": "SQ", "Value": values} if values else {"vr": "SQ"}
        except UNREADABLE as exc:
            logger.warning("a value cannot be told in JSON", extra={"error": type(exc).__name__})
    return found


def _vr(raw: RawDataElement | DataElement | None) -> str:
    if raw is None:
        return ""
    vr = str(raw.VR or "")
    if not vr and dictionary_has_tag(raw.tag):
        vr = dictionary_VR(raw.tag)
    return "OW" if vr == "OB or OW" else vr


def _is_large(raw: RawDataElement | DataElement | None) -> bool:
    if isinstance(raw, RawDataElement):
        return raw.length > LARGEST_INLINE  # undefined length is the highest of all
    return raw is not None and len(raw.value or b"") > LARGEST_INLINE


async def bulk_data(service: Service, request: Request, caller: str) -> Response:
    """Send one large value, uncompressed pixel data among them."""
    (instance,) = await instances_of(service, place_of(request.path_params))
    path = str(request.path_params["path"])
    if path == PIXEL_DATA and instance.transfer_syntax_uid not in NATIVE:
        return await run_sync(frames_of, service, request, instance)
    value = await run_sync(_value, instance, path)
    if any(each.covers(OCTETS) for each in parts_wanted(request)):
        return in_parts([(OCTETS, (value,))], OCTETS)
    if any(each.name == OCTETS for each in wanted(request, OCTETS)):
        return Response(value, media_type=OCTETS)
    raise RequestError(HTTPStatus.NOT_ACCEPTABLE, f"the answer is {OCTETS}")


def _value(instance: Instance, path: str) -> bytes:
    """Find a value by the path that `json_of` gave it."""
    steps = path.split("/")
    missing = RequestError(HTTPStatus.NOT_FOUND, "there is no such bulk data here")
    if len(steps) % 2 == 0 or len(steps) > 2 * _MOST_DEPTH:
        raise missing
    try:
        ds = _header(instance)
        for tag, number in zip(steps[:-1:2], steps[1::2], strict=True):
            ds = ds[int(tag, 16)].value[int(number)]
        element = ds[int(steps[-1], 16)]
    except (IndexError, *UNREADABLE):
        raise missing from None
    if not isinstance(element.value, bytes):
        raise missing
    if instance.transfer_syntax_uid == ExplicitVRBigEndian and element.VR in BYTES_OF_A_WORD:
        return turned(element.value, str(element.VR))
    return element.value

"""What a client accepts of stored instances and of their frames (PS3.18 8.7.3)."""

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Final

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from starlette.requests import Request

from dicom_node.errors import RequestError
from dicom_node.media_type import MediaType, accepted

MULTIPART: Final = "multipart/related"
ANY: Final = "*"
DICOM: Final = "application/dicom"
OCTETS: Final = "application/octet-stream"
EXPLICIT: Final = str(ExplicitVRLittleEndian)
"""What a client gets that names no transfer syntax (PS3.18 8.7.3.5.2)."""
NATIVE: Final = frozenset(
    map(
        str,
        (
            ExplicitVRLittleEndian,
            ImplicitVRLittleEndian,
            ExplicitVRBigEndian,
            DeflatedExplicitVRLittleEndian,
        ),
    )
)
_NEVER: Final = frozenset(map(str, (ImplicitVRLittleEndian, ExplicitVRBigEndian)))
"""Not used with web services (PS3.18 8.7.3.5.2): what is stored so is sent as Explicit VR Little Endian."""
FRAME_TYPES: Final[Mapping[str, str]] = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
}
"""Media type of a frame as it is stored (PS3.18 Table 8.7.3-5)."""


def wanted(request: Request, default: str) -> list[MediaType]:
    """Return what a client accepts, best first; `accept` in the query goes before the header (8.3.3.1)."""
    text = request.query_params.get("accept") or request.headers.get("Accept") or "*/*"
    return accepted(text) or accepted(default)


def parts_wanted(request: Request) -> list[MediaType]:
    """Return what a client accepts as parts of a multipart answer; `*/*` for whatever there is."""
    found: list[MediaType] = []
    for each in wanted(request, MULTIPART):
        if each.covers(MULTIPART):
            kind = each.parameters.get("type", "*/*").lower()
            found.append(MediaType(kind, each.parameters))
    return found


def acceptable_syntaxes(request: Request) -> list[str]:
    """Return the transfer syntaxes in which a client accepts instances; `*` for any.

    Raises:
        RequestError: 406 if it accepts something else than instances in parts.
    """
    kinds = [each for each in parts_wanted(request) if each.covers(DICOM)]
    if not kinds:
        raise RequestError(HTTPStatus.NOT_ACCEPTABLE, f'the answer is {MULTIPART}; type="{DICOM}"')
    return [each.parameters.get("transfer-syntax", EXPLICIT) for each in kinds]


def goes_as_stored(stored: str, syntaxes: Collection[str]) -> bool:
    """Say whether an instance can be sent in the transfer syntax in which it is."""
    return stored not in _NEVER and (stored in syntaxes or ANY in syntaxes)


def goes_decoded(stored: str, syntaxes: Collection[str]) -> bool:
    """Say whether an instance can be sent in Explicit VR Little Endian."""
    return (EXPLICIT in syntaxes or ANY in syntaxes) and is_decodable(stored)


def is_decodable(transfer_syntax_uid: str) -> bool:
    """Say whether a decoder for the pixels is installed."""
    if transfer_syntax_uid in NATIVE:
        return True
    try:
        return get_decoder(transfer_syntax_uid).is_available
    except NotImplementedError:
        return False


def frame_goes_as_stored(request: Request, stored: str) -> str | None:
    """Return the media type in which a compressed frame is sent as it is; None if it is to be decoded."""
    kind = FRAME_TYPES.get(stored)
    if kind is None:
        return None
    for each in parts_wanted(request):
        syntax = each.parameters.get("transfer-syntax")
        if syntax in (ANY, stored) and (each.covers(kind) or each.name == OCTETS):
            return f"{OCTETS if each.name == OCTETS else kind}; transfer-syntax={stored}"
        if syntax is None and each.name == kind:
            return f"{kind}; transfer-syntax={stored}"
        if each.covers(OCTETS):
            return None
    return None


def frames_go_decoded(request: Request) -> bool:
    """Say whether a client takes uncompressed frames."""
    return any(
        each.covers(OCTETS) and each.parameters.get("transfer-syntax", EXPLICIT) in (EXPLICIT, ANY)
        for each in parts_wanted(request)
    )

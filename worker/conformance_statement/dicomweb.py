"""Sections 4.2.5 and 4.2.7 of the conformance statement: DICOMweb as server, and as a way to send."""

from collections.abc import Iterable, Iterator
from http import HTTPStatus

from dicom_node.database.catalogue import Level
from dicom_node.dimse_status import (
    CANNOT_UNDERSTAND,
    DATA_SET_MISMATCH,
    DATA_SET_MISMATCH_WARNING,
    OUT_OF_RESOURCES,
    SOP_CLASS_NOT_SUPPORTED,
    TRANSFER_SYNTAX_NOT_SUPPORTED,
)
from dicom_node.stow import COME_AGAIN, NO_SERVICE, NOT_LET_IN
from dicom_node.web.application import TRANSACTIONS
from dicom_node.web.attributes import MATCHED, RETURNED
from dicom_node.web.metadata import BULK_VRS, LARGEST_INLINE
from dicom_node.web.negotiation import EXPLICIT, FRAME_TYPES
from dicom_node.web.rendered import FORMATS
from dicom_node.web.service import JSON, ROOT
from dicom_node.web.settings import Web
from worker.conformance_statement.markdown import Chapter, named

REASONS = {
    DATA_SET_MISMATCH_WARNING: "kept in quarantine: an identifier is missing (Warning Reason)",
    DATA_SET_MISMATCH: "request, file meta information and data set disagree, or an identifier is no UID",
    OUT_OF_RESOURCES: "no space, or larger than `max_instance_bytes`",
    SOP_CLASS_NOT_SUPPORTED: "no storage SOP class",
    TRANSFER_SYNTAX_NOT_SUPPORTED: "another transfer syntax than those of 4.2.1",
    CANNOT_UNDERSTAND: "no DICOM file, not whole, or not parsable",
}


def origin_server(chapter: Chapter) -> None:
    """Tell what the server does, from its own tables."""
    chapter.section("2.5", "NODE: DICOMweb as origin server")
    chapter.say(
        "`medversa-node web`, a process beside `medversa-node serve` on the same store and index; not",
        f"started by default. Every path begins with `{ROOT}`, but for `/healthz`, which tells anybody",
        "that the server is there. A bearer token (RFC 6750) allows what its scope says: 401 without a",
        "valid one, 403 with another scope. Without any token ever made, programs of this machine may do",
        "everything and others nothing.",
    )
    chapter.table(("method", "resource", "scope"), _resources())
    _store(chapter)
    _search(chapter)
    _retrieve(chapter)


def user_agent(chapter: Chapter) -> None:
    """Tell how results are sent to destinations of kind dicomweb."""
    chapter.section("2.7", "DELIVERY: DICOMweb as user agent")
    chapter.say(
        "Results go to destinations of kind `dicomweb` by STOW-RS, one instance in a request, in the",
        "transfer syntax in which they are stored; TLS with verification of the server, an Authorization",
        "header as configured. What the Store Instances Response says of an instance counts as its C-STORE",
        "status would (4.2.2); 200 without a body means that it was stored.",
    )
    chapter.table(
        ("answer", "what is done"),
        (
            ("Warning Reason, or no reason", "the object counts as delivered"),
            (f"0xA7xx, {_codes(COME_AGAIN)}, 5xx, no answer", "sent again later"),
            (f"{_codes((*NOT_LET_IN, *NO_SERVICE))}, 3xx", "as if nobody were there: all wait"),
            ("any other", "refused for good; the job fails visibly, other destinations are served"),
        ),
    )


def _codes(statuses: Iterable[HTTPStatus]) -> str:
    return ", ".join(str(status.value) for status in statuses)


def _resources() -> Iterator[tuple[str, str, str]]:
    for method, path, scope, _ in TRANSACTIONS:
        yield method, f"`{path.replace(':path', '')}`", scope.value


def _store(chapter: Chapter) -> None:
    limits = Web()
    chapter.section("2.5.1", "Store (STOW-RS, PS3.18 10.5)")
    chapter.say(
        "`multipart/related` of `application/dicom`; neither metadata and bulk data",
        "apart nor Content-Encoding.",
        "Instances take the same way as those of C-STORE (4.2.1), under the name of the token in place of a",
        "calling AE title; each is on stable storage before it is answered. One that",
        "cannot be taken does not",
        f"cost its neighbours. Limits: {limits.max_request_bytes >> 30} GiB a request, "
        f"{limits.max_instance_bytes >> 30} GiB an instance,",
        f"{limits.timeout_s:g} s without a byte. The answer is `{JSON}`: 200, 202 if some",
        "were refused or stored",
        "with a warning, 409 if all were refused, 503 if all were for want of space;",
        "400, 406, 408, 413 and 415 for",
        "requests of which nothing was stored.",
    )
    chapter.table(("reason", "when"), ((f"0x{code:04X}", text) for code, text in REASONS.items()))


def _search(chapter: Chapter) -> None:
    chapter.section("2.5.2", "Search (QIDO-RS, PS3.18 10.6)")
    chapter.say(
        f"The answer is `{JSON}` in ISO_IR 192, studies newest first. Matching of single",
        "values, lists of UIDs,",
        "wildcards and ranges; names without regard to case. `includefield` by keyword,",
        "tag or `all`; `limit`,",
        f"at most {Web().max_results} (`max_results`), and `offset`. `fuzzymatching` is",
        "not supported. A Warning",
        "says that, which parameters were ignored, and that there is more.",
    )
    chapter.table(
        ("level", "matched", "returned"),
        ((level.value, ", ".join(MATCHED[level]), ", ".join(RETURNED[level])) for level in Level),
    )
    chapter.say(
        "Series and instances searched for across studies have the attributes of their",
        "study besides. What is",
        "in quarantine or was withdrawn is not found.",
    )


def _retrieve(chapter: Chapter) -> None:
    chapter.section("2.5.3", "Retrieve (WADO-RS, PS3.18 10.4)")
    chapter.say(
        "Instances come as `multipart/related` of `application/dicom`: as they are stored where the transfer",
        f"syntax or `*` is accepted, else in {named(EXPLICIT)} if that is accepted and",
        "the pixels can be decoded;",
        "406 if that holds for none, 206 if for some. Implicit VR and Big Endian are not",
        "sent. Metadata come as",
        f"`{JSON}`; PixelData and values of {', '.join(sorted(BULK_VRS))} above",
        f"{LARGEST_INLINE} bytes are links",
        "to bulk data, which come as `application/octet-stream`, alone or in one part. Frames come as",
        "`application/octet-stream` or as they are stored:",
    )
    chapter.table(
        ("transfer syntax", "media type of a frame"),
        ((named(uid), f"`{kind}`") for uid, kind in FRAME_TYPES.items()),
    )
    chapter.say(
        f"Rendered: one frame as {' or '.join(f'`{kind}`' for kind in FORMATS)}, with `quality`, `viewport`",
        "(width, height) and `window` (linear). Not supported: XML, thumbnails, rendered",
        "series and studies, UPS-RS,",
        "capabilities, and WADO-URI.",
    )

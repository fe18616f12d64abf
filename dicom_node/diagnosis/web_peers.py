"""Checks of sources over HTTP: reached, trusted, let in, and the service that the configuration says."""

import ssl
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import httpx

from dicom_node.diagnosis.certificates import server_certificate_check
from dicom_node.diagnosis.faults import Check, Fault, faulty, fine
from dicom_node.diagnosis.reach import LONGEST_WAIT_S, not_reached
from dicom_node.errors import NodeError, SettingsError
from dicom_node.priors.web import connected, trusted
from dicom_node.settings import WebPeer

STOW: Final = "destination"
_ASKED: Final = {"dicomweb": "studies?limit=1", "orthanc": "system"}
"""What is asked for: QIDO-RS (PS3.18 10.6) for any one study, and what Orthanc says of itself."""
_NOTHING: Final = b"--nothing--\r\n"
_STOW: Final = {
    "Accept": "application/dicom+json",
    "Content-Type": 'multipart/related; type="application/dicom"; boundary=nothing',
}
"""A request of STOW-RS (PS3.18 10.5) without a part: who offers the service answers, and stores nothing."""
_STOW_ANSWERS: Final = (200, 202, 204, 400, 409, 411, 415)
_ACCEPTED: Final = {"dicomweb": "application/dicom+json", "orthanc": "application/json"}
_HINTS: Final = {
    "dicomweb": "e.g. https://host/dicom-web: what `/studies` follows on",
    "orthanc": "the root of Orthanc, what `/system` follows on",
    STOW: "e.g. https://host/dicom-web: what `/studies` follows on; it must offer STOW-RS",
}


def web_checks(kind: str, peer: WebPeer) -> Iterator[Check]:
    """Check one `[[dicomweb]]`, `[[orthanc]]` or destination by STOW-RS; nothing that it answers is shown."""
    name = f"{kind} {peer.name}"
    url = urlsplit(peer.url)
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    lost = not_reached(name, host, port)
    if lost is not None:
        yield lost
        return
    try:
        if url.scheme == "https":
            certificate = server_certificate_check(f"{name}, certificate", host, port, _context(peer))
            yield certificate
            if not certificate.is_ok and certificate.is_needed:
                return
        yield _service_check(name, kind, peer)
    except SettingsError as exc:
        yield faulty(name, Fault.SETTINGS, str(exc))


def _context(peer: WebPeer) -> ssl.SSLContext:
    context = trusted(peer)
    return context if isinstance(context, ssl.SSLContext) else httpx.create_ssl_context()


def _service_check(name: str, kind: str, peer: WebPeer) -> Check:
    hasty = peer.model_copy(update={"timeout_s": min(peer.timeout_s, LONGEST_WAIT_S)})
    try:
        with connected(hasty) as client:
            if kind == STOW:
                response = client.post("studies", content=_NOTHING, headers=_STOW)
            else:
                response = client.get(_ASKED[kind], headers={"Accept": _ACCEPTED[kind]})
    except SettingsError:
        raise
    except NodeError as exc:
        return faulty(name, Fault.SERVER_FAILS, str(exc))
    return _judged(name, kind, response, peer.url)


def _judged(name: str, kind: str, response: httpx.Response, url: str) -> Check:
    told = f"HTTP status {response.status_code}"
    if response.status_code in (401, 403):
        return faulty(name, Fault.UNAUTHORISED, told)
    if response.status_code >= 500:
        return faulty(name, Fault.SERVER_FAILS, told)
    if kind == STOW and response.status_code in _STOW_ANSWERS:
        return fine(name, f"{url} answers STOW-RS")
    if response.status_code == 204 and kind == "dicomweb":
        return fine(name, f"{url} answers and has no study")
    if response.status_code != 200 or not _is_the_service(kind, response):
        return faulty(name, Fault.WRONG_PATH, told, hint=_HINTS[kind])
    return fine(name, f"{url} answers")


def _is_the_service(kind: str, response: httpx.Response) -> bool:
    """Tell the service from a page that a web server shows for every path."""
    if kind == STOW:
        return False
    try:
        answer = response.json()
    except ValueError:
        return False
    return isinstance(answer, list) if kind == "dicomweb" else "DicomAet" in answer

"""What sources that speak HTTP share: a client, its errors, and files that go straight into the intake."""

import ssl
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from email.message import Message
from typing import Final, Self

import httpx

from dicom_node.admission import StoreCommand
from dicom_node.database.engine import Database
from dicom_node.errors import HeaderError, PeerError, SettingsError, UnreachableError
from dicom_node.file_meta import end_of_meta, read_meta
from dicom_node.intake import Intake
from dicom_node.settings import NodeSettings, WebPeer
from dicom_node.storage import InstanceStore
from dicom_node.study import Origin

MOST_HEAD: Final = 1 << 16
"""Bytes in which the head of a part must end."""
MOST_STUDIES: Final = 200
"""Studies of one patient that are looked at; who answers more has not understood the Patient ID."""


class WebSource:
    """What a source needs to ask a server by HTTP and to take its files in as if they had been sent."""

    def __init__(self, peer: WebPeer, own_ae_title: str, database: Database, intake: Intake) -> None:
        self.name = peer.name
        self.budget_s = peer.budget_s
        self._peer = peer
        self._own_ae_title = own_ae_title
        self._database = database
        self._intake = intake

    @classmethod
    def built(
        cls, peers: Iterable[WebPeer], settings: NodeSettings, database: Database, store: InstanceStore
    ) -> list[Self]:
        """Build one source for each of the configured peers."""
        intake = Intake(store, database, settings.node.min_free_bytes)
        return [cls(peer, settings.node.ae_title, database, intake) for peer in peers]


@contextmanager
def connected(peer: WebPeer) -> Generator[httpx.Client, None, None]:
    """Hold a client for requests relative to the peer's URL.

    Raises:
        UnreachableError: the peer is not there, does not answer in time or breaks off.
        PeerError: it answers with a failure, or with what cannot be read.
        SettingsError: a file that the settings name cannot be read.
    """
    # `from None`: the library's messages quote the URL, and that of a query holds the Patient ID.
    try:
        with httpx.Client(
            base_url=peer.url.rstrip("/") + "/",
            headers=_authorization(peer),
            timeout=peer.timeout_s,
            verify=trusted(peer),
        ) as client:
            yield client
    except httpx.HTTPStatusError as exc:
        raise PeerError(f"{peer.name} answers with HTTP status {exc.response.status_code}") from None
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise UnreachableError(f"{peer.name} does not answer ({type(exc).__name__})") from None
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise PeerError(f"the answer of {peer.name} cannot be read ({type(exc).__name__})") from None


def _authorization(peer: WebPeer) -> dict[str, str]:
    if peer.authorization_file is None:
        return {}
    try:
        return {"Authorization": peer.authorization_file.read_text(encoding="ascii").strip()}
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{peer.name}: the authorization_file cannot be read") from exc


def trusted(peer: WebPeer) -> ssl.SSLContext | bool:
    """Return what decides whether the certificate of a peer is trusted.

    Raises:
        SettingsError: the ca_file cannot be read.
    """
    if peer.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=peer.ca_file)
    except OSError as exc:
        raise SettingsError(f"{peer.name}: the ca_file cannot be read") from exc


def fetch_file(client: httpx.Client, url: str, intake: Intake, ae_title: str, **headers: str) -> None:
    """Get one DICOM file (PS3.10), alone or as the one part of a multipart answer, and hand it to the intake.

    What the intake thinks of it is written down there. Memory stays flat however large the file.

    Raises:
        PeerError: the answer is no DICOM file, or broke off.
    """
    with client.stream("GET", url, headers=headers) as response:
        response.raise_for_status()
        body = only_part(response.iter_bytes(), response.headers.get("Content-Type", ""))
        _take(body, intake, ae_title)


def only_part(chunks: Iterator[bytes], content_type: str) -> Iterator[bytes]:
    """Yield the first part of a multipart body (RFC 2046 5.1); of another type, the body itself.

    Raises:
        PeerError: the part has no end.
    """
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if boundary is None:
        yield from chunks
        return
    closing = b"\r\n--" + boundary.encode("ascii", "replace")
    pending, is_head = b"", True
    for chunk in chunks:
        pending += chunk
        if is_head:
            _, blank, rest = pending.partition(b"\r\n\r\n")
            if len(pending) > MOST_HEAD and not blank:
                raise PeerError("the answer is no multipart message")
            if not blank:
                continue
            pending, is_head = rest, False
        body, end, _ = pending.partition(closing)
        if end:
            yield body
            for _ in chunks:  # read to the end, so that the connection can be used again
                pass
            return
        kept = len(closing) - 1
        yield pending[:-kept]
        pending = pending[-kept:]
    raise PeerError("the answer broke off")


def _take(chunks: Iterable[bytes], intake: Intake, ae_title: str) -> None:
    head, reception = b"", None
    try:
        for chunk in chunks:
            if reception is not None:
                reception.write(chunk)
                continue
            head += chunk
            end = end_of_meta(head)
            if end is not None:
                reception = intake.begin(_command(head[:end], ae_title))
                reception.write(head[end:])
        if reception is None:
            raise PeerError("the answer holds no DICOM file")
    except HeaderError as exc:
        raise PeerError(f"the answer cannot be taken: {exc}") from exc
    except (httpx.HTTPError, PeerError):
        if reception is not None:
            reception.abort()
        raise
    reception.finish()


def _command(head: bytes, ae_title: str) -> StoreCommand:
    meta = read_meta(head)
    return StoreCommand(
        sop_class_uid=meta.sop_class_uid,
        sop_instance_uid=meta.sop_instance_uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        calling_ae_title=ae_title,
        origin=Origin.RETRIEVED,
    )

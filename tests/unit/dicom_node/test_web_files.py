"""DICOM files over HTTP: cut anywhere, broken off, or none at all; from a server of our own on loopback."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.admission import Patient
from dicom_node.database.engine import Database
from dicom_node.errors import PeerError, SettingsError, UnreachableError
from dicom_node.intake import Intake
from dicom_node.log_redaction import QUOTING
from dicom_node.priors.dicomweb import DicomWebSource
from dicom_node.priors.orthanc import OrthancSource
from dicom_node.priors.web import MOST_HEAD, connected, fetch_file, only_part
from dicom_node.settings import WebPeer
from dicom_node.study import Origin
from tests.unit.dicom_node.arrivals import dataset, encoded

MULTIPART = 'multipart/related; type="application/dicom"; boundary="edge"'
PATIENT = Patient("P4711", "", "", "")


def file_of(**elements: object) -> bytes:
    ds = dataset(**elements)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def part(body: bytes, end: bytes = b"\r\n--edge--\r\n") -> bytes:
    return b"--edge\r\nContent-Type: application/dicom\r\n\r\n" + body + end


@dataclass
class WebServer:
    """Answers every request with one and the same answer."""

    body: bytes = b""
    content_type: str = "application/dicom"
    status: int = 200
    missing: int = 0
    """Bytes announced that never come."""
    seen: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.seen.append(handler.headers.get("Authorization", ""))
        handler.send_response(self.status)
        handler.send_header("Content-Type", self.content_type)
        handler.send_header("Content-Length", str(len(self.body) + self.missing))
        handler.end_headers()
        handler.wfile.write(self.body)


@pytest.fixture
def server() -> Iterator[WebServer]:
    made = WebServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.answer(self)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            made.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, args=(0.05,))
    thread.start()
    yield made
    listener.shutdown()
    listener.server_close()
    thread.join()


def peer(server: WebServer, **more: object) -> WebPeer:
    return WebPeer.model_validate({"name": "PACS", "url": server.url, "timeout_s": 20, **more})


def fetch(server: WebServer, intake: Intake) -> None:
    with connected(peer(server)) as client:
        fetch_file(client, "file", intake, "MEDVERSA")


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_part_is_the_same_wherever_it_is_cut(size: int) -> None:
    body = b"\r\n--edg\r\n\r\n" * 20 + bytes(range(256))
    message = part(body, b"\r\n--edge\r\nContent-Type: x\r\n\r\nsecond\r\n--edge--")
    chunks = [message[at : at + size] for at in range(0, len(message), size)]

    assert b"".join(only_part(iter(chunks), MULTIPART)) == body


def test_body_of_another_type_is_taken_as_it_is() -> None:
    assert list(only_part(iter([b"ab", b"c"]), "application/dicom")) == [b"ab", b"c"]


@pytest.mark.parametrize("message", [part(b"body", b""), b"--edge\r\nno end", b"", b"x" * (MOST_HEAD + 1)])
def test_part_without_an_end_is_refused(message: bytes) -> None:
    with pytest.raises(PeerError):
        list(only_part(iter([message]), MULTIPART))


@pytest.mark.parametrize("is_multipart", [True, False])
def test_file_is_kept_as_it_came(
    is_multipart: bool, server: WebServer, intake: Intake, database: Database
) -> None:
    ds = dataset(SOPInstanceUID="1.2.3.4")
    content = file_of(SOPInstanceUID="1.2.3.4")
    server.body = part(content) if is_multipart else content
    server.content_type = MULTIPART if is_multipart else "application/dicom"

    fetch(server, intake)

    kept = database.instances.get("1.2.3.4")
    assert kept is not None
    assert kept.origin is Origin.RETRIEVED
    assert kept.path.read_bytes().endswith(encoded(ds))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "no DICOM file"),
        (b"<html>not here</html>" * 20, "no DICOM file"),
        (file_of()[:140], "no DICOM file"),
    ],
)
def test_what_is_no_file_is_refused(body: bytes, error: str, server: WebServer, intake: Intake) -> None:
    server.body = body

    with pytest.raises(PeerError, match=error):
        fetch(server, intake)


def test_file_that_breaks_off_is_not_kept(server: WebServer, intake: Intake, database: Database) -> None:
    server.body, server.missing = file_of(SOPInstanceUID="1.2.3.4")[:-3], 3

    with pytest.raises(UnreachableError):
        fetch(server, intake)

    assert database.instances.get("1.2.3.4") is None


def test_file_of_another_instance_than_it_claims_is_not_kept(
    server: WebServer, intake: Intake, database: Database
) -> None:
    """The meta information speaks for the command here (PS3.10 7.1): both must name one instance."""
    content = file_of(SOPInstanceUID="1.2.3.4")
    meta_ends = content.index(b"UI", content.index(b"1.2.3.4") + 1)
    server.body = content[:meta_ends] + content[meta_ends:].replace(b"1.2.3.4\0", b"1.2.3.5\0")

    fetch(server, intake)

    assert database.instances.get("1.2.3.4") is database.instances.get("1.2.3.5") is None


@pytest.mark.parametrize("kind", [DicomWebSource, OrthancSource])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b""),
        (401, b""),
        (500, b""),
        (200, b"{"),
        (200, b"[3]"),
        (200, b'[{"00100020": 3}]'),
        (200, b"7"),
    ],
)
def test_answer_that_cannot_be_used_is_an_error_without_identity(
    kind: type[DicomWebSource | OrthancSource],
    status: int,
    body: bytes,
    server: WebServer,
    intake: Intake,
    database: Database,
) -> None:
    server.status, server.body, server.content_type = status, body, "application/dicom+json"

    with pytest.raises(PeerError) as caught:
        kind(peer(server), "MEDVERSA", database, intake).candidates(PATIENT)

    assert "P4711" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_requests_are_not_logged_with_their_patient() -> None:
    """httpx logs each URL at level INFO (its documentation, "Logging")."""
    assert QUOTING["httpx"] == QUOTING["httpcore"] == logging.WARNING


def test_authorization_is_sent_as_the_file_says(
    server: WebServer, intake: Intake, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("Bearer s3cret\n")
    server.status = 204

    found = DicomWebSource(
        peer(server, authorization_file=tmp_path / "token"), "MEDVERSA", database, intake
    ).candidates(PATIENT)

    assert found == []
    assert server.seen == ["Bearer s3cret"]


@pytest.mark.parametrize("field", ["authorization_file", "ca_file"])
def test_missing_file_of_the_settings_is_named(
    field: str, server: WebServer, intake: Intake, database: Database, tmp_path: Path
) -> None:
    source = DicomWebSource(peer(server, **{field: tmp_path / "absent"}), "MEDVERSA", database, intake)

    with pytest.raises(SettingsError, match=field):
        source.candidates(PATIENT)

"""Delivery by STOW-RS: what each kind of answer means for an object (PS3.18 10.5.3, Annex I.2)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pydicom import dcmread

from dicom_node.errors import UnreachableError
from dicom_node.scu import send_files
from dicom_node.settings import Destination, NodeSettings
from dicom_node.web.multipart import MultipartReader, PartContent
from tests.unit.dicom_node.arrivals import write
from worker.demo.servers import free_port

Answer = tuple[int, object]


@dataclass
class Archive:
    """A server that answers requests one after the other as it is told, the last answer again and again."""

    answers: list[Answer] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def destination(self, **settings: Any) -> Destination:
        return Destination(name="PACS", kind="dicomweb", url=self.url, **settings)

    def uids(self) -> list[str]:
        return [str(dcmread(BytesIO(content)).SOPInstanceUID) for _, content in self.received]


@pytest.fixture
def archive() -> Iterator[Archive]:
    made = Archive()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reader = MultipartReader(self.headers.get_param("boundary", header="Content-Type"))
            parts = [e.content for e in reader.feed(body) if isinstance(e, PartContent)]
            made.received.append((dict(self.headers), b"".join(parts)))
            status, answer = made.answers.pop(0) if len(made.answers) > 1 else made.answers[0]
            if status == 0:
                self.close_connection = True
                return
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/dicom-web"
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def item(uid: str, **reason: int) -> dict[str, object]:
    tags = {"warning": "00081196", "failure": "00081197"}
    told: dict[str, object] = {"00081155": {"vr": "UI", "Value": [uid]}}
    return told | {tags[name]: {"vr": "US", "Value": [code]} for name, code in reason.items()}


def said(
    *, stored: list[dict[str, object]] | None = None, failed: list[dict[str, object]] | None = None
) -> dict[str, object]:
    sequences = {"00081199": stored, "00081198": failed}
    return {tag: {"vr": "SQ", "Value": items} for tag, items in sequences.items() if items}


UID = "1.2.3.4"
OTHER_FAILURE = {"0008119A": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xC000]}}]}}


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ((200, said(stored=[item(UID)])), 0x0000),
        ((200, [said(stored=[item(UID)])]), 0x0000),
        ((202, said(stored=[item(UID, warning=0xB007)])), 0xB007),
        ((202, said(stored=[item("9.9")], failed=[item(UID, failure=0xA900)])), 0xA900),
        ((409, said(failed=[item(UID, failure=0x0122)])), 0x0122),
        ((409, said(failed=[item(UID)])), 0x0110),
        ((409, OTHER_FAILURE), 0xC000),
        ((200, b""), 0x0000),
        ((200, {"00081198": {"vr": "SQ"}, "00081199": {"vr": "SQ"}}), None),
        ((202, b""), None),
        ((202, said(stored=[item("9.9")])), None),
        ((400, b"bad"), 0x0110),
        ((413, b""), 0x0110),
        ((415, b""), 0x0110),
        ((408, b""), None),
        ((429, b""), None),
        ((500, b"<html>"), None),
        ((503, said(failed=[item(UID, failure=0xA700)])), 0xA700),
        ((409, b"\xff not JSON"), 0x0110),
        ((409, {"00081198": "nonsense"}), 0x0110),
    ],
)
def test_each_answer_becomes_the_status_of_its_object(
    archive: Archive, tmp_path: Path, answer: Answer, status: int | None
) -> None:
    archive.answers = [answer]
    (outcome,) = send_files(archive.destination(), [write(tmp_path, SOPInstanceUID=UID)])
    assert (outcome.sop_instance_uid, outcome.status) == (UID, status)


def test_files_arrive_byte_for_byte_each_in_a_request_of_its_own(archive: Archive, tmp_path: Path) -> None:
    archive.answers = [(200, b"")]
    paths = [write(tmp_path, PixelData=bytes(600_000)), write(tmp_path)]

    outcomes = send_files(archive.destination(), paths)

    assert [outcome.status for outcome in outcomes] == [0, 0]
    assert [content for _, content in archive.received] == [path.read_bytes() for path in paths]
    headers, _ = archive.received[0]
    assert headers["Content-Type"].startswith('multipart/related; type="application/dicom"; boundary=')
    assert headers["Accept"] == "application/dicom+json"


def test_one_refused_object_does_not_keep_the_next_from_being_sent(archive: Archive, tmp_path: Path) -> None:
    archive.answers = [(409, OTHER_FAILURE), (200, b"")]
    outcomes = send_files(archive.destination(), [write(tmp_path), write(tmp_path)])
    assert [outcome.status for outcome in outcomes] == [0xC000, 0x0000]


def test_an_archive_that_goes_away_keeps_what_it_has_acknowledged(archive: Archive, tmp_path: Path) -> None:
    archive.answers = [(200, b""), (0, b"")]
    outcomes = send_files(archive.destination(), [write(tmp_path) for _ in range(3)])
    assert [outcome.status for outcome in outcomes] == [0x0000, None]
    assert len(archive.received) == 2


def test_an_archive_that_is_not_there_is_told_as_unreachable(archive: Archive, tmp_path: Path) -> None:
    absent = Destination(name="PACS", kind="dicomweb", url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UnreachableError, match="PACS does not answer"):
        send_files(absent, [write(tmp_path)])


@pytest.mark.parametrize(
    ("status", "why"),
    [(401, "does not let us in"), (403, "does not let us in"), (404, "no STOW-RS"), (302, "no STOW-RS")],
)
def test_what_the_operator_must_mend_is_no_refusal_of_an_object(
    archive: Archive, tmp_path: Path, status: int, why: str
) -> None:
    archive.answers = [(status, b"")]
    with pytest.raises(UnreachableError, match=why):
        send_files(archive.destination(), [write(tmp_path)])


def test_the_token_is_read_from_its_file_and_never_told(archive: Archive, tmp_path: Path) -> None:
    archive.answers = [(401, b"")]
    file = tmp_path / "token"
    file.write_text("Bearer 1.secretsecret\n")
    with pytest.raises(UnreachableError) as caught:
        send_files(archive.destination(authorization_file=file), [write(tmp_path)])
    assert archive.received[0][0]["Authorization"] == "Bearer 1.secretsecret"
    assert "secretsecret" not in str(caught.value)
    with pytest.raises(UnreachableError, match="authorization_file"):
        send_files(archive.destination(authorization_file=tmp_path / "none"), [write(tmp_path)])


def test_a_destination_by_stow_needs_a_url_and_can_read_back_from_itself() -> None:
    with pytest.raises(ValueError, match="needs url"):
        Destination(name="PACS", kind="dicomweb")
    proof = {"by": "read-back", "source": "PACS"}
    destination = {"name": "PACS", "kind": "dicomweb", "url": "https://pacs", "proof": proof}
    settings = NodeSettings.model_validate({"destinations": [destination]})
    assert settings.destinations[0].web_peer.url == "https://pacs"

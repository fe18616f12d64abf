"""STOW-RS: what is stored, what is refused, and that the one does not cost the other (PS3.18 10.5)."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import pytest
from pydicom.uid import (
    CTImageStorage,
    generate_uid,
)

from dicom_node.database.engine import Database
from dicom_node.errors import IndexAwayError
from dicom_node.file_meta import PREAMBLE
from dicom_node.intake import Intake
from dicom_node.study import Reason, StudyState
from dicom_node.web.store import Sender, Submission
from tests.in_process_web import RunningServer
from tests.unit.dicom_node.conftest import TurnedClock
from tests.unit.dicom_node.test_intake import files_below
from tests.unit.dicom_node.test_web_files import file_of
from tests.unit.dicom_node.web.conftest import Serve

STUDY = "1.2.3.100"
TYPE = 'multipart/related; type="application/dicom"; boundary=edge'
REFERENCED, FAILED, OTHER = "00081199", "00081198", "0008119A"


def part(content: bytes, kind: str = "application/dicom") -> bytes:
    return f"--edge\r\nContent-Type: {kind}\r\n\r\n".encode() + content + b"\r\n"


def body(*files: bytes) -> bytes:
    return b"".join(map(part, files)) + b"--edge--\r\n"


def post(
    server: RunningServer, content: bytes | Iterator[bytes], path: str = "/studies", **headers: str
) -> httpx.Response:
    with server.client() as client:
        return client.post(path, content=content, headers={"Content-Type": TYPE} | headers)


def head(length: int, **headers: str) -> bytes:
    """The head of a request, for peers that misbehave."""
    fields = {"Host": "localhost", "Content-Length": str(length), "Content-Type": TYPE} | headers
    lines = [f"{name}: {value}\r\n" for name, value in fields.items()]
    return f"POST /dicom-web/studies HTTP/1.1\r\n{''.join(lines)}\r\n".encode()


def failures(response: httpx.Response) -> list[int]:
    said = response.json()
    items = [item for tag in (FAILED, OTHER) for item in said.get(tag, {}).get("Value", [])]
    return [item["00081197"]["Value"][0] for item in items]


def test_what_is_answered_with_success_is_kept_like_by_c_store(server: RunningServer) -> None:
    uid = generate_uid()

    response = post(server, body(file_of(SOPInstanceUID=uid)))

    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/dicom+json")
    url = f"{server.url}/studies/{STUDY}"
    assert response.json() == {
        "00081190": {"vr": "UR", "Value": [url]},
        "00081199": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": {"vr": "UI", "Value": [CTImageStorage]},
                    "00081155": {"vr": "UI", "Value": [uid]},
                    "00081190": {"vr": "UR", "Value": [f"{url}/series/{STUDY}.1/instances/{uid}"]},
                }
            ],
        },
    }
    (kept,) = server.database.instances.of_study(STUDY)
    assert (kept.sop_instance_uid, kept.path.is_file()) == (uid, True)
    assert server.database.studies.get(STUDY).state is StudyState.RECEIVING
    assert b"DICOMWEB" in kept.path.read_bytes()[: 128 + 400]


@pytest.mark.parametrize(("count", "step"), [(3, 1), (1000, 5000)])
def test_D27_many_parts_in_one_request(server: RunningServer, count: int, step: int) -> None:
    files = [file_of(SOPInstanceUID=f"1.2.3.4.{number}") for number in range(count)]
    content = body(*files)

    response = post(server, (content[at : at + step] for at in range(0, len(content), step)))

    assert response.status_code == 200
    assert len(response.json()[REFERENCED]["Value"]) == count
    assert len(server.database.instances.of_study(STUDY)) == count


TRUNCATED = file_of(SOPInstanceUID="1.2.9")[:-900]


@pytest.mark.parametrize(
    ("bad", "reasons"),
    [
        (part(b"no DICOM at all" * 100), [0xC000]),
        (part(b""), [0xC000]),
        (part(PREAMBLE), [0xC000]),
        (part(file_of()[:200]), [0xC000]),
        (part(PREAMBLE + b"\2\0\0\0UL\4\0\xff\xff\xff\xff" + b"x" * 999), [0xC000]),
        (part(PREAMBLE + b"\2\0\0\0UL\4\0\x10\0\0\0" + b"\2\0\2\0UI\xff\xff" + b"x" * 999), [0xC000]),
        (part(b"{}", "application/dicom+json"), [0xC000]),
        (b"--edge\r\nno colon\r\n\r\n" + file_of() + b"\r\n", [0xC000]),
        (
            part(
                file_of(StudyInstanceUID="1.2.3.4.56.7.8.9").replace(b"1.2.3.4.56.7.8.9", b"../../etc/passwd")
            ),
            [0xA900],
        ),
        (part(file_of(SOPClassUID="1.2.840.10008.1.3.10")), [0x0122]),
    ],
)
def test_D27_a_bad_part_does_not_cost_its_neighbours(
    server: RunningServer, bad: bytes, reasons: list[int]
) -> None:
    content = part(file_of()) + bad + part(file_of()) + b"--edge--"

    response = post(server, content)

    assert response.status_code == 202
    assert failures(response) == reasons
    assert len(response.json()[REFERENCED]["Value"]) == 2
    assert len(server.database.instances.of_study(STUDY)) == 2
    assert len(files_below(server.data_dir / "instances")) == 2


def test_an_instance_cut_short_within_its_header_is_not_stored(server: RunningServer) -> None:
    whole = file_of(SOPInstanceUID="1.2.9")
    cut = whole[: whole.index(STUDY.encode()) + 4]

    response = post(server, body(cut, file_of()))

    assert response.status_code == 202
    assert failures(response) in ([0xC000], [0xA900])
    (failed,) = response.json()[FAILED]["Value"]
    assert failed["00081155"]["Value"] == ["1.2.9"]


def test_a_body_that_ends_without_its_closing_delimiter_loses_only_the_last_part(
    server: RunningServer,
) -> None:
    response = post(server, body(file_of(), file_of(SOPInstanceUID="1.2.9"))[:-20])

    assert response.status_code == 202
    assert failures(response) == [0xC000]
    assert len(server.database.instances.of_study(STUDY)) == 1


def test_a_client_that_vanishes_keeps_what_was_whole(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.sendall(head(9_999_999) + part(file_of()) + part(file_of(PixelData=bytes(100_000)))[:-5000])
        wait_for(lambda: len(server.database.instances.of_study(STUDY)) == 1)

    wait_for(lambda: len(files_below(server.data_dir / "instances")) == 1)


def wait_for(condition: Callable[[], bool], patience_s: float = 20) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_D27_a_part_that_never_ends_is_cut_off_at_the_limit(serve: Serve) -> None:
    server = serve(max_instance_bytes=1 << 20)

    response = post(server, body(file_of(), file_of(PixelData=bytes(3 << 20)), file_of()))

    assert response.status_code == 202
    assert failures(response) == [0xA700]
    assert len(files_below(server.data_dir / "instances")) == 2


def test_D27_a_request_larger_than_allowed_is_refused_before_it_is_read(serve: Serve) -> None:
    server = serve(max_request_bytes=10_000)
    assert post(server, body(file_of(PixelData=bytes(20_000)))).status_code == 413


def test_a_chunked_request_larger_than_allowed_keeps_what_came_before(serve: Serve) -> None:
    server = serve(max_request_bytes=100_000)
    content = body(file_of(), file_of(PixelData=bytes(500_000)))
    response = post(server, iter([content[:50_000], content[50_000:]]))
    assert response.status_code == 202
    assert len(server.database.instances.of_study(STUDY)) == 1


def test_a_body_that_stops_coming_is_given_up(serve: Serve) -> None:
    server = serve(timeout_s=0.5)
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.sendall(head(9_999_999) + b"--edge\r\n")
        assert peer.recv(100).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/dicom"}, 415),
        ({"Content-Type": 'multipart/related; type="application/dicom+json"; boundary=edge'}, 415),
        ({"Content-Type": "multipart/form-data; boundary=edge"}, 415),
        ({"Content-Type": 'multipart/related; type="application/dicom"'}, 400),
        ({"Content-Type": f'multipart/related; type="application/dicom"; boundary={"a" * 201}'}, 400),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Accept": "application/dicom+xml"}, 406),
        ({"Accept": "application/dicom+xml, */*;q=0.1"}, 200),
    ],
)
def test_D27_what_cannot_be_read_or_answered_is_told_by_status(
    server: RunningServer, headers: dict[str, str], status: int
) -> None:
    assert post(server, body(file_of()), **headers).status_code == status


def test_a_body_without_parts_is_a_bad_request(server: RunningServer) -> None:
    assert post(server, b"--edge--").status_code == 400
    assert post(server, b"").status_code == 400


def test_huge_headers_are_refused(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as peer, suppress(ConnectionError):
        peer.sendall(head(0, X=100_000 * "y"))
        assert peer.recv(100).startswith(b"HTTP/1.1 400 ")
    assert post(server, body(file_of())).status_code == 200


def test_instances_of_another_study_than_the_path_names_are_refused(server: RunningServer) -> None:
    response = post(server, body(file_of(), file_of(StudyInstanceUID="1.2.3.200")), f"/studies/{STUDY}")

    assert response.status_code == 202
    assert failures(response) == [0xA900]
    assert [study.study_instance_uid for study in server.database.studies.all()] == [STUDY]


@pytest.mark.parametrize("path", ["/studies/1.2.x", "/studies/..", "/studies/" + "1" * 65])
def test_a_path_with_what_is_no_uid_is_refused(server: RunningServer, path: str) -> None:
    assert post(server, body(file_of()), path).status_code in (400, 404)


def test_nothing_stored_is_a_conflict(server: RunningServer) -> None:
    response = post(server, body(b"x"), "/studies")
    assert (response.status_code, failures(response)) == (409, [0xC000])
    (refusal,) = server.database.refusals.all()
    assert (refusal.reason, refusal.calling_ae_title) == (Reason.UNREADABLE_HEADER, "DICOMWEB")


def test_conflicts_and_duplicates_follow_the_rules_of_c_store(server: RunningServer) -> None:
    files = [
        file_of(SOPInstanceUID="1.2.9"),
        file_of(SOPInstanceUID="1.2.9"),
        file_of(SOPInstanceUID="1.2.9", PixelData=bytes(8)),
        file_of(PatientID="P2"),
    ]

    response = post(server, body(*files))

    assert response.status_code == 200
    assert len(server.database.instances.of_study(STUDY)) == 1
    assert [each.reason for each in server.database.refusals.all()] == [
        Reason.UID_CONFLICT,
        Reason.PATIENT_MISMATCH,
    ]
    links = ["Value" in item["00081190"] for item in response.json()[REFERENCED]["Value"]]
    assert links == [True, True, False, False]


def test_a_full_disk_is_told_and_the_client_may_come_again(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "write", full_disk)
    response = post(server, body(file_of()))
    assert (response.status_code, failures(response)) == (503, [0xA700])
    assert response.headers["Retry-After"]


def full_disk(descriptor: int, data: bytes) -> int:
    raise OSError(28, "No space left on device")


def test_a_study_of_which_more_is_on_its_way_is_not_quiet(
    intake: Intake, database: Database, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicom_node.web.store.KEEP_OPEN_EVERY_S", 0.0)
    sender = Sender("GATEWAY", "", max_instance_bytes=1 << 20)
    submission = Submission(intake, "edge", sender, database.studies.keep_open)
    content = body(file_of(), file_of(PixelData=bytes(1000)))
    submission.feed(content[:-500])
    before = database.studies.get(STUDY).last_received_at
    clock.turn(60)

    submission.feed(content[-500:-400])

    assert database.studies.get(STUDY).last_received_at == clock.now > before
    assert [each.calling_ae_title for each in database.refusals.all()] == []


def test_a_study_that_is_complete_is_not_opened_by_what_may_come(
    intake: Intake, database: Database, clock: TurnedClock
) -> None:
    submission = Submission(intake, "edge", Sender("GATEWAY", "", 1 << 20), database.studies.keep_open)
    submission.feed(body(file_of()))
    study = database.studies.get(STUDY)
    assert database.studies.complete(study, Reason.QUIET_PERIOD) is not None
    clock.turn(60)

    database.studies.keep_open({STUDY})

    assert database.studies.get(STUDY).last_received_at == study.last_received_at


def test_an_index_that_is_busy_for_the_hint_costs_no_part(
    intake: Intake, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicom_node.web.store.KEEP_OPEN_EVERY_S", 0.0)

    def fail(studies: set[str]) -> None:
        raise IndexAwayError("the index could not be used (OperationalError)")

    submission = Submission(intake, "edge", Sender("GATEWAY", "", 1 << 20), fail)
    for file in (part(file_of()), part(file_of()), b"--edge--\r\n"):
        submission.feed(file)

    assert [each.status for each in submission.stored] == [0, 0]
    assert len(database.instances.of_study(STUDY)) == 2

"""Sending: to folders and to a receiver in this process, with the status of every object."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from pydicom import dcmread
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context

from dicom_node.errors import Absence, StorageError, UnreachableError
from dicom_node.scu import associated, echo, send_files, sendable
from dicom_node.settings import Destination
from dicom_node.storage_classes import VERIFICATION
from tests.unit.dicom_node.arrivals import write
from worker.demo.servers import free_port


class FakeReceiver:
    """A C-STORE SCP that answers from a list of statuses and keeps what it was sent."""

    def __init__(self, statuses: list[int], syntaxes: list[str]) -> None:
        self.statuses = statuses
        self.received: list[bytes] = []
        ae = AE("PACS")
        ae.add_supported_context(CTImageStorage, syntaxes)
        ae.add_supported_context("1.2.840.10008.1.1")
        self.server = ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )
        assert self.server is not None
        self.destination = Destination(
            name="pacs", ae_title="PACS", port=self.server.server_address[1], timeout_s=5
        )

    def _store(self, event: evt.Event) -> int:
        self.received.append(event.request.DataSet.getvalue())
        return self.statuses.pop(0)


@pytest.fixture
def receivers() -> Iterator[list[FakeReceiver]]:
    started: list[FakeReceiver] = []
    yield started
    for receiver in started:
        assert receiver.server is not None
        receiver.server.shutdown()


def test_every_object_has_its_own_status(receivers: list[FakeReceiver], tmp_path: Path) -> None:
    receiver = FakeReceiver([0x0000, 0xA700, 0xB000], [ExplicitVRLittleEndian])
    receivers.append(receiver)
    paths = [write(tmp_path) for _ in range(3)]

    outcomes = send_files(receiver.destination, paths)

    assert [outcome.status for outcome in outcomes] == [0x0000, 0xA700, 0xB000]
    assert [outcome.sop_instance_uid for outcome in outcomes] == [path.stem for path in paths]


def test_bytes_of_the_file_go_out_as_they_are(receivers: list[FakeReceiver], tmp_path: Path) -> None:
    receiver = FakeReceiver([0x0000], [ExplicitVRLittleEndian])
    receivers.append(receiver)
    path = write(tmp_path)

    send_files(receiver.destination, [path])

    assert path.read_bytes().endswith(receiver.received[0])
    assert len(receiver.received[0]) > 200


def test_receiver_that_knows_only_the_default_encoding_gets_it(
    receivers: list[FakeReceiver], tmp_path: Path
) -> None:
    receiver = FakeReceiver([0x0000], [ImplicitVRLittleEndian])
    receivers.append(receiver)

    (outcome,) = send_files(receiver.destination, [write(tmp_path)])

    assert outcome.status == 0x0000
    assert receiver.received[0][4:6] != b"UI"


def test_class_that_is_not_accepted_is_told_and_the_others_are_sent(
    receivers: list[FakeReceiver], tmp_path: Path
) -> None:
    receiver = FakeReceiver([0x0000], [ExplicitVRLittleEndian])
    receivers.append(receiver)

    outcomes = send_files(
        receiver.destination, [write(tmp_path, SOPClassUID=MRImageStorage), write(tmp_path)]
    )

    assert [outcome.status for outcome in outcomes] == [0x0122, 0x0000]


def test_wrong_title_is_told(receivers: list[FakeReceiver], tmp_path: Path) -> None:
    receiver = FakeReceiver([], [ExplicitVRLittleEndian])
    receivers.append(receiver)
    assert receiver.server is not None
    receiver.server.ae.require_called_aet = True

    with pytest.raises(UnreachableError, match="Called AE title not recognised"):
        echo(receiver.destination.model_copy(update={"ae_title": "OTHER"}))
    echo(receiver.destination)


def test_rejection_that_comes_before_we_look_is_a_rejection(receivers: list[FakeReceiver]) -> None:
    receiver = FakeReceiver([], [])
    receivers.append(receiver)
    assert receiver.server is not None
    receiver.server.ae.require_calling_aet = ["FRIEND"]
    closed = Event()

    def on_close(_: evt.Event) -> None:
        closed.set()

    def on_requested(_: evt.Event) -> None:
        """The thread that asked looks at the connection after this: it comes too late."""
        closed.wait(10)

    slow: list[evt.EventHandlerType] = [(evt.EVT_CONN_CLOSE, on_close), (evt.EVT_REQUESTED, on_requested)]

    with (
        pytest.raises(UnreachableError, match="rejects the association: Calling AE title") as told,
        associated(receiver.destination, [build_context(VERIFICATION)], handlers=slow),
    ):
        pass

    assert told.value.absence is Absence.CALLING_AE_UNKNOWN


# pynetdicom leaves the socket of a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_absent_receiver_is_unreachable(tmp_path: Path) -> None:
    absent = Destination(name="pacs", ae_title="PACS", port=free_port(), timeout_s=2)

    with pytest.raises(UnreachableError, match="does not answer"):
        send_files(absent, [write(tmp_path)])


def test_folder_receives_files_under_their_uids(tmp_path: Path) -> None:
    path = write(tmp_path)
    destination = Destination(name="out", kind="folder", folder=tmp_path / "out")

    for _ in range(2):
        (outcome,) = send_files(destination, [path])
        assert outcome.status == 0x0000

    (copied,) = (tmp_path / "out").iterdir()
    assert copied.name == f"{dcmread(path).SOPInstanceUID}.dcm"
    assert copied.read_bytes() == path.read_bytes()


def test_folder_that_cannot_be_written_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    destination = Destination(name="out", kind="folder", folder=tmp_path / "out")

    with pytest.raises(UnreachableError, match="cannot be written"):
        send_files(destination, [write(tmp_path)])


def test_what_was_accepted_before_the_destination_went_away_counts(tmp_path: Path) -> None:
    paths = [write(tmp_path) for _ in range(3)]
    uids = [dcmread(path).SOPInstanceUID for path in paths]
    (tmp_path / "out" / f"{uids[1]}.dcm").mkdir(parents=True)
    destination = Destination(name="out", kind="folder", folder=tmp_path / "out")

    outcomes = send_files(destination, paths)

    assert [(outcome.sop_instance_uid, outcome.status) for outcome in outcomes] == [(uids[0], 0x0000)]


@pytest.mark.parametrize("content", [b"", b"no DICOM", bytes(128) + b"DICM"])
def test_other_files_cannot_be_sent(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(StorageError):
        sendable(tmp_path / "file")

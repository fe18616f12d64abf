"""Real worklist servers know the order behind a study; it reaches the index, the queue and the prompt."""

import logging
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt

from dicom_node.admission import Patient
from dicom_node.database.engine import Database
from dicom_node.errors import PeerError
from dicom_node.orders.asking import OrderFinder
from dicom_node.orders.order import Ordered
from dicom_node.orders.settings import Worklist
from dicom_node.orders.worklist import MODALITY_WORKLIST, ask_worklist
from dicom_node.settings import NodeSettings
from dicom_node.study import Priority, StudyInstanceUID
from tests.associating import raw_socket
from tests.integration.dicom_node.programs import (
    ENVIRONMENT,
    PLUGINS,
    OrthancProcess,
    wait_until_listening,
)
from tests.unit.dicom_node.arrivals import Sender, dataset
from tests.unit.dicom_node.conftest import clock, database, intake, sender, store
from tests.unit.dicom_node.test_orders import entry
from worker.demo.servers import free_port

__all__ = ["clock", "database", "intake", "sender", "store"]

STUDY = Ordered("1.2.3.100", "A1", Patient("P1", "", "19500101", "F"), "Marker^Name")


@pytest.fixture
def index_url(tmp_path: Path) -> str:
    """One kind of index is enough here."""
    return f"sqlite:///{tmp_path}/node.sqlite"


def write_entry(path: Path, **elements: object) -> None:
    """Write a worklist file with what such servers ask of one (PS3.4 table K.6-1, types 1 and 2)."""
    ds = entry(**elements)
    (step,) = ds.ScheduledProcedureStepSequence
    step.Modality, step.ScheduledStationAETitle = "DX", "CT1"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "20260102", "1000"
    step.ScheduledPerformingPhysicianName, step.ScheduledProcedureStepDescription = "", "Chest"
    step.ScheduledProcedureStepID = "S1"
    ds.RequestedProcedureID, ds.ReferringPhysicianName, ds.SpecificCharacterSet = "R1", "", "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = MODALITY_WORKLIST, "1.2.3.4"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dcmwrite(path, ds, enforce_file_format=True)


@dataclass(frozen=True)
class Ris:
    worklist: Worklist
    folder: Path


@pytest.fixture(params=["Orthanc", "wlmscpfs"])
def ris(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ris]:
    """A real worklist server with an empty folder of orders."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    folder, port = tmp_path / "RIS", free_port()
    folder.mkdir()
    if request.param == "Orthanc":
        if not (PLUGINS / "libModalityWorklists.so").exists():
            pytest.skip("Orthanc's plugin for worklists is not installed")
        options = {"Worklists": {"Enable": True, "Database": str(folder)}, "DicomAet": "RIS"}
        orthanc = OrthancProcess(
            tmp_path, node_port=free_port(), plugins=("libModalityWorklists.so",), options=options, port=port
        )
        orthanc.start()
        yield Ris(Worklist(name="RIS", ae_title="RIS", port=port), folder)
        orthanc.stop()
        return
    (folder / "lockfile").touch()
    command = ["wlmscpfs", "--disable-file-reject", "-dfp", str(tmp_path), str(port)]
    with (tmp_path / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT)
    wait_until_listening(port, process)
    yield Ris(Worklist(name="RIS", ae_title="RIS", port=port), folder)
    process.terminate()
    process.wait(20)


def test_real_worklist_gives_the_order_of_the_study_and_no_other(ris: Ris) -> None:
    write_entry(ris.folder / "ours.wl")
    write_entry(ris.folder / "other.wl", PatientID="P2", AccessionNumber="A2", StudyInstanceUID="1.2.3.200")
    write_entry(ris.folder / "same.wl", PatientID="P3", StudyInstanceUID="1.2.3.300")

    order = ask_worklist(ris.worklist, STUDY)

    assert order is not None
    assert (order.requested_procedure, order.accession_number) == ("Chest PA and lateral", "A1")
    assert order.priority is Priority.STAT
    stranger = Ordered("1.2.3.999", "A1", Patient("P9", "", "", ""), "")
    assert ask_worklist(ris.worklist, stranger) is None


def test_order_is_kept_noted_without_its_words_and_told_to_no_log(
    ris: Ris, database: Database, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    write_entry(ris.folder / "ours.wl", StudyInstanceUID="1.2.3.999")
    uid = StudyInstanceUID("1.2.3.100")
    sender.send(dataset(AccessionNumber="A1"))

    with caplog.at_level(logging.DEBUG, "dicom_node"):
        OrderFinder(NodeSettings(worklists=(ris.worklist,)), database).find(uid)

    order = database.orders.of_study(uid)
    assert order is not None
    assert (order.priority, order.accession_number) == (Priority.STAT, "A1")
    assert "RIS: found, stat" in [event.detail for event in database.events.of_study(uid)]
    told = caplog.text + str([event.detail for event in database.events.of_study(uid)])
    assert not [word for word in ("fever", "Chest", "A1", "P1", "Marker") if word in told]


class BoundlessRis:
    """Answers every question with everything it has, and it has much."""

    def __init__(self) -> None:
        ae = AE("RIS")
        ae.add_supported_context(MODALITY_WORKLIST)
        self.given = 0
        self._opened: list[socket.socket] = []
        handlers = [
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_CONN_OPEN, lambda event: self._opened.append(raw_socket(event.assoc))),
        ]
        self.server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.worklist = Worklist(name="RIS", ae_title="RIS", port=self.server.server_address[1], timeout_s=5)

    def close(self) -> None:
        self.server.shutdown()
        for connection in self._opened:  # pynetdicom leaves one open whose peer was faster
            connection.close()

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(50_000):
            self.given = number
            yield 0xFF00, entry(PatientID=f"Q{number}")


def test_P12_worklist_of_fifty_thousand_is_not_read_to_the_end() -> None:
    ris = BoundlessRis()
    try:
        with pytest.raises(PeerError, match="more than 100"):
            ask_worklist(ris.worklist, STUDY)
    finally:
        ris.close()
    # How much it sends until it takes notice is a matter of buffers and of who runs first.
    assert ris.given < 25_000


# pynetdicom leaves the socket of a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_P12_study_of_which_no_worklist_knows_or_answers_goes_on_and_says_so(
    database: Database, sender: Sender
) -> None:
    uid = StudyInstanceUID("1.2.3.100")
    sender.send(dataset())
    away = Worklist(name="RIS", ae_title="RIS", port=free_port(), timeout_s=1)

    OrderFinder(NodeSettings(worklists=(away,)), database).find(uid)

    assert database.orders.of_study(uid) is None
    assert "RIS: UnreachableError" in [event.detail for event in database.events.of_study(uid)]

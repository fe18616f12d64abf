"""Modalities and a real archive ask the node to commit itself to what they have sent."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage, generate_uid
from pynetdicom import AE, evt

from dicom_node.scu import send_files
from dicom_node.settings import Destination
from tests.associating import associated
from tests.commitment_peers import NATIVE, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE
from tests.integration.dicom_node.programs import NodeProcess, OrthancProcess
from tests.unit.dicom_node.arrivals import write
from worker.demo.servers import free_port

PATIENCE_S = 20


@dataclass
class Modality:
    """Asks for commitment as SCU and takes reports, on its own association or on its own port."""

    port: int = field(default_factory=free_port)
    reports: list[tuple[int, Dataset]] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.handlers = [(evt.EVT_N_EVENT_REPORT, self._take)]

    def _take(self, event: evt.Event) -> tuple[int, None]:
        self.reports.append((event.event_type, event.event_information))
        self.arrived.set()
        return 0x0000, None

    def listen(self) -> "Modality":
        ae = AE("CT1")
        ae.add_supported_context(STORAGE_COMMITMENT, NATIVE, scu_role=True, scp_role=True)
        self.server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=self.handlers)
        return self

    def ask(
        self, node: NodeProcess, ds: Dataset, *, action: int = 1, stay_s: float = 0, title: str = "CT1"
    ) -> int:
        ae = AE(title)
        ae.add_requested_context(STORAGE_COMMITMENT)
        with associated(ae, node.port, handlers=self.handlers) as assoc:
            assert assoc.is_established
            status, _ = assoc.send_n_action(ds, action, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE)
            self.arrived.wait(stay_s)
            return int(status.Status)


def request(*uids: str) -> Dataset:
    ds = Dataset()
    ds.TransactionUID = generate_uid()
    ds.ReferencedSOPSequence = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, uid
        ds.ReferencedSOPSequence.append(item)
    return ds


@pytest.fixture
def modality() -> Iterator[Modality]:
    made = Modality()
    yield made
    if hasattr(made, "server"):
        made.server.shutdown()


@pytest.fixture
def node(tmp_path: Path, modality: Modality) -> Iterator[NodeProcess]:
    known = f'[[modalities]]\nname = "CT1"\nae_title = "CT1"\nport = {modality.port}\ntimeout_s = 2\n'
    running = NodeProcess(tmp_path, extra=known).start()
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop()


def sent(node: NodeProcess, folder: Path) -> str:
    path = write(folder)
    peer = Destination(name="node", ae_title="MEDVERSA", port=node.port, calling_ae_title="CT1")
    assert send_files(peer, [path])[0].status == 0x0000
    return path.stem


def test_report_comes_on_an_association_of_the_node(
    node: NodeProcess, modality: Modality, tmp_path: Path
) -> None:
    modality.listen()
    kept = sent(node, tmp_path)
    asked = request(kept)

    assert modality.ask(node, asked) == 0x0000

    assert modality.arrived.wait(PATIENCE_S)
    ((kind, report),) = modality.reports
    assert (kind, report.TransactionUID) == (1, asked.TransactionUID)
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == [kept]


def test_unknown_sender_gets_its_report_on_its_own_association(
    node: NodeProcess, modality: Modality, tmp_path: Path
) -> None:
    kept = sent(node, tmp_path)

    assert modality.ask(node, request(kept, "1.2.3.4"), stay_s=PATIENCE_S, title="NOBODY") == 0x0000

    ((kind, report),) = modality.reports
    assert kind == 2
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == [kept]
    (failed,) = report.FailedSOPSequence
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("1.2.3.4", 0x0112)


def test_T21_report_outlives_a_restart_of_the_node_and_an_absent_modality(
    node: NodeProcess, modality: Modality, tmp_path: Path
) -> None:
    assert modality.ask(node, request(sent(node, tmp_path))) == 0x0000
    node.stop()
    modality.listen()

    node.start()

    assert modality.arrived.wait(PATIENCE_S)
    assert modality.reports[0][0] == 1


def test_request_that_is_none_is_refused(node: NodeProcess, modality: Modality) -> None:
    nothing, nameless = request(), request("1.2.3")
    nameless.TransactionUID = ""

    assert modality.ask(node, request("1.2.3"), action=2) == 0x0123
    assert modality.ask(node, nothing) == 0x0115
    assert modality.ask(node, nameless) == 0x0115


@pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed")
def test_orthanc_has_what_it_sent_committed_by_the_node(tmp_path: Path) -> None:
    orthanc_port = free_port()
    known = f'[[modalities]]\nname = "PACS"\nae_title = "ORTHANC"\nport = {orthanc_port}\n'
    node = NodeProcess(tmp_path, extra=known).start()
    orthanc = OrthancProcess(tmp_path, node_port=node.port, port=orthanc_port).start()
    try:
        content = write(tmp_path).read_bytes()
        instance = httpx.post(f"{orthanc.url}/instances", content=content).json()["ID"]
        url = f"{orthanc.url}/modalities/node"
        assert httpx.post(f"{url}/store", content=instance, timeout=30).status_code == 200
        others = [{"SOPClassUID": CTImageStorage, "SOPInstanceUID": "1.2.3.4"}]
        good = ask_orthanc(orthanc, {"Resources": [instance]})
        bad = ask_orthanc(orthanc, {"DicomInstances": others})
    finally:
        orthanc.stop()
        node.stop()

    assert (good["Status"], len(good["Success"])) == ("Success", 1)
    assert (bad["Status"], bad["Failures"][0]["FailureReason"]) == ("Failure", 0x0112)


def ask_orthanc(orthanc: OrthancProcess, named: dict[str, object]) -> dict[str, list[dict[str, object]]]:
    """Have Orthanc ask the node for commitment; wait until it has the report."""
    url = f"{orthanc.url}/modalities/node/storage-commitment"
    transaction = httpx.post(url, content=json.dumps(named), timeout=30).json()["ID"]
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = httpx.get(f"{orthanc.url}/storage-commitment/{transaction}").json()
        if found["Status"] != "Pending" or time.monotonic() > deadline:
            told: dict[str, list[dict[str, object]]] = found
            return told
        time.sleep(0.1)

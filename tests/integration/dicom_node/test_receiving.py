"""Receiving over the network, with other people's clients against the node as a process."""

import shutil
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pydicom.data
import pytest
from blake3 import blake3
from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE

from dicom_node.database.engine import Database, open_database
from tests.associating import associated, raw_socket
from tests.faults.raw_peer import STORE_CONTEXT, RawPeer, command_set, data_pdus, pdv, store_elements
from tests.integration.dicom_node.programs import NodeProcess, run
from tests.unit.dicom_node.arrivals import dataset, encoded, write

pytestmark = pytest.mark.skipif(shutil.which("dcmsend") is None, reason="DCMTK is not installed")

PYDICOM_FILES = Path(pydicom.data.__file__).parent / "test_files"
ENCODINGS = {
    "1.2.840.10008.1.2": "MR_small_implicit.dcm",
    "1.2.840.10008.1.2.1": "CT_small.dcm",
    "1.2.840.10008.1.2.1.99": "image_dfl.dcm",
    "1.2.840.10008.1.2.2": "MR_small_bigendian.dcm",
    "1.2.840.10008.1.2.5": "MR_small_RLE.dcm",
    "1.2.840.10008.1.2.4.50": "SC_rgb_jpeg_dcmtk.dcm",
    "1.2.840.10008.1.2.4.51": "JPEG-lossy.dcm",
    "1.2.840.10008.1.2.4.70": "SC_rgb_jpeg_gdcm.dcm",
    "1.2.840.10008.1.2.4.80": "MR_small_jpeg_ls_lossless.dcm",
    "1.2.840.10008.1.2.4.90": "MR_small_jp2klossless.dcm",
    "1.2.840.10008.1.2.4.91": "JPEG2000.dcm",
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    running = NodeProcess(tmp_path_factory.mktemp("node")).start()
    yield running
    running.stop()


@pytest.fixture
def own_node(tmp_path: Path) -> Iterator[NodeProcess]:
    running = NodeProcess(tmp_path).start()
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop()


def index_of(node: NodeProcess) -> Database:
    return open_database(f"sqlite:///{node.data_dir}/node.sqlite")


def eventually(holds: Callable[[], bool], timeout_s: float = 15) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return False


def client() -> AE:
    ae = AE("TESTER")
    ae.dimse_timeout = ae.acse_timeout = 5
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    return ae


def test_echo_is_answered_under_the_right_name_only(node: NodeProcess) -> None:
    assert run("echoscu", "-aec", "MEDVERSA", "127.0.0.1", str(node.port)).returncode == 0

    answer = run("echoscu", "-aec", "OTHER", "127.0.0.1", str(node.port))

    assert answer.returncode != 0
    assert "Called AE Title Not Recognized" in answer.stderr


def test_calling_title_may_be_required(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path, extra='[[node.callers]]\nae_title = "CT1"\n').start()
    try:
        echo = ("echoscu", "-aec", "MEDVERSA", "127.0.0.1", str(node.port))
        assert run(*echo, "-aet", "CT1").returncode == 0
        answer = run(*echo, "-aet", "CT2")
    finally:
        node.stop()

    assert "Calling AE Title Not Recognized" in answer.stderr


@pytest.fixture(scope="module")
def sent_by_us(node: NodeProcess) -> None:
    """All files of `ENCODINGS`, sent by our own client in one go."""
    files = [str(PYDICOM_FILES / name) for name in ENCODINGS.values()]
    answer = run(*node.command("send")[:4], "--port", str(node.port), *files)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_is_stored_as_sent(node: NodeProcess, sent_by_us: None, encoding: str) -> None:
    path = PYDICOM_FILES / ENCODINGS[encoding]
    meta = dcmread(path, stop_before_pixels=True).file_meta
    assert meta.TransferSyntaxUID == encoding

    by_dcmtk = node.send(path)

    assert by_dcmtk.returncode == 0, by_dcmtk.stderr
    # dcmsend writes group lengths anew; our own client sends the file's bytes as they are.
    kept = [copy for copy in (node.data_dir / "instances").rglob("*.dcm") if same_data_set(copy, path)]
    assert kept
    assert dcmread(kept[0], stop_before_pixels=True).file_meta.TransferSyntaxUID == encoding


def same_data_set(one: Path, other: Path) -> bool:
    """Compare what comes after group 0002."""
    tails = []
    for path in (one, other):
        content = path.read_bytes()
        tails.append(content[144 + int.from_bytes(content[140:144], "little") :])
    return tails[0] == tails[1]


def test_private_storage_class_is_stored(node: NodeProcess, tmp_path: Path) -> None:
    path = write(tmp_path, SOPClassUID="1.3.46.670589.5.0.1.1", StudyInstanceUID=generate_uid())

    answer = run(*node.command("send")[:4], "--port", str(node.port), str(path))

    assert answer.returncode == 0, answer.stdout


def test_study_is_completed_with_one_job_however_often_it_is_sent(node: NodeProcess, tmp_path: Path) -> None:
    study = generate_uid()
    for _ in range(3):
        write(tmp_path, StudyInstanceUID=study)

    for _ in range(2):
        assert node.send("--scan-directories", tmp_path).returncode == 0
        assert eventually(
            lambda: any(
                s["study_instance_uid"] == study and s["state"] == "complete"
                for s in node.status()["studies"]
            )
        )

    assert [job["revision"] for job in node.status()["jobs"] if job["study_instance_uid"] == study] == [1]


def test_conflict_is_kept_apart_and_shown(node: NodeProcess, tmp_path: Path) -> None:
    uid, study = generate_uid(), generate_uid()
    for pixels in (bytes(8), b"\1" * 8):
        path = write(tmp_path, SOPInstanceUID=uid, StudyInstanceUID=study, PixelData=pixels)
        assert node.send(path).returncode == 0

    rows = [row for row in node.status()["refusals"] if row["sop_instance_uid"] == uid]

    assert [(row["reason"], row["dimse_status"], row["state"]) for row in rows] == [
        ("UID_CONFLICT", "0x0000", "quarantined")
    ]


def partial_store(content_length: int) -> bytes:
    """A C-STORE-RQ and the first bytes of a data set that announces more."""
    elements = (
        (0x0002, CTImageStorage.encode() + b"\0" * (len(CTImageStorage) % 2)),
        (0x0100, b"\1\0"),
        (0x0110, b"\1\0"),
        (0x0700, b"\0\0"),
        (0x0800, b"\1\0"),
        (0x1000, b"1.2.3.4\0"),
    )
    command = b"".join(struct.pack("<HHL", 0, e, len(v)) + v for e, v in elements)
    stream = struct.pack(">BBLLBB", 4, 0, len(command) + 6, len(command) + 2, 1, 3) + command
    return stream + struct.pack(">BBLLBB", 4, 0, content_length + 6, content_length + 2, 1, 0) + bytes(100)


def test_missing_uid_in_the_request_is_answered(node: NodeProcess) -> None:
    ds = dataset(SOPInstanceUID=generate_uid())
    elements = [each for each in store_elements(ds.SOPClassUID, ds.SOPInstanceUID) if each[0] != 0x1000]
    with RawPeer(node.port) as peer:
        peer.associate()
        request = pdv(command_set(*elements), STORE_CONTEXT, is_command=True)
        peer.socket.sendall(request + data_pdus(encoded(ds)))

        assert peer.status() == 0xC000


@pytest.mark.parametrize("begun", [b"", partial_store(5000)], ids=["idle", "half an object"])
def test_silence_ends_an_association(tmp_path: Path, begun: bytes) -> None:
    node = NodeProcess(tmp_path, extra="network_timeout_s = 1.5\n").start()
    try:
        with associated(client(), node.port) as association:
            raw_socket(association).sendall(begun)

            assert eventually(lambda: not association.is_established, 8)
        assert eventually(lambda: not [p for p in node.data_dir.rglob("*.dcm") if p.stat().st_size])
    finally:
        assert node.stop() == 0


def test_X06_no_identity_reaches_the_log(own_node: NodeProcess, tmp_path: Path) -> None:
    folder = tmp_path / "marked"
    folder.mkdir()
    marks = {"PatientName": "ZQMARK^NAME", "PatientID": "ZQMARKID", "AccessionNumber": "ZQMARKACC"}
    write(folder, **marks)
    write(folder, **marks | {"PatientID": "ZQMARKOTHER"})
    run(*own_node.command("send")[:4], "--port", str(own_node.port), str(folder))
    shown = run(*own_node.command("status")).stdout

    assert "ZQMARK" not in own_node.log
    assert "ZQMARK" not in shown
    assert "PATIENT_MISMATCH" in shown


def test_second_node_on_one_folder_refuses_to_start(own_node: NodeProcess) -> None:
    answer = run(*own_node.command("serve"))

    assert answer.returncode == 1
    assert "served already" in answer.stderr


def test_termination_is_clean(own_node: NodeProcess) -> None:
    assert own_node.stop() == 0
    assert "Traceback" not in own_node.log


class Ledger:
    """Sends without end and writes down what was answered with success."""

    def __init__(self, node: NodeProcess, sender: int) -> None:
        self.acknowledged: list[str] = []
        self._node = node
        self._study = generate_uid()
        self.thread = threading.Thread(target=self._send, name=f"sender {sender}")

    def _send(self) -> None:
        with associated(client(), self._node.port) as association:
            while association.is_established and len(self.acknowledged) < 2000:
                ds = dataset(StudyInstanceUID=self._study, PixelData=bytes(60_000))
                ds.file_meta = FileMetaDataset()
                ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
                with suppress(RuntimeError):  # the association ended just now
                    if association.send_c_store(ds).get("Status") == 0x0000:
                        self.acknowledged.append(str(ds.SOPInstanceUID))


@pytest.mark.parametrize("after_s", [0.3, 0.8])
def test_nothing_acknowledged_is_lost_when_the_node_is_killed(own_node: NodeProcess, after_s: float) -> None:
    ledgers = [Ledger(own_node, number) for number in range(3)]
    for ledger in ledgers:
        ledger.thread.start()
    eventually(lambda: all(ledger.acknowledged for ledger in ledgers))
    time.sleep(after_s)

    own_node.stop(signal.SIGKILL)
    for ledger in ledgers:
        ledger.thread.join(60)
    own_node.start()

    database = index_of(own_node)
    acknowledged = [uid for ledger in ledgers for uid in ledger.acknowledged]
    assert acknowledged
    for uid in acknowledged:
        kept = database.instances.get(uid)
        assert kept is not None
        assert kept.digest == "b3:" + blake3(kept.path.read_bytes()[-kept.size :]).hexdigest(30)
    database.close()

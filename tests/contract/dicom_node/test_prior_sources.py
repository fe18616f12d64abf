"""What every source of priors must keep to; a new entry of the registry is tested the moment it is named."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pynetdicom import AE, evt

from dicom_node.admission import Patient
from dicom_node.database.engine import Database, open_database
from dicom_node.errors import NodeError, UnreachableError
from dicom_node.priors.budget import BudgetedSource
from dicom_node.priors.registry import PRIOR_SOURCES
from dicom_node.priors.source import PriorSource
from dicom_node.settings import OWN_STORE, NodeSettings
from dicom_node.storage import InstanceStore
from worker.demo.servers import free_port

PATIENT = Patient("NOBODY", "", "", "")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path}/node.sqlite")
    yield opened
    opened.close()


def build(
    kind: str, port: int, tmp_path: Path, database: Database, *, timeout_s: float = 2
) -> list[PriorSource]:
    settings = NodeSettings.model_validate(
        {
            "node": {"data_dir": str(tmp_path)},
            "query_retrieve": [{"name": "PACS", "ae_title": "PACS", "port": port, "timeout_s": timeout_s}],
            "dicomweb": [{"name": "web", "url": f"http://127.0.0.1:{port}", "timeout_s": timeout_s}],
            "orthanc": [{"name": "REST", "url": f"http://127.0.0.1:{port}", "timeout_s": timeout_s}],
        }
    )
    return list(PRIOR_SOURCES[kind](settings, database, InstanceStore(tmp_path, database)))


@pytest.fixture
def empty_archive() -> Iterator[int]:
    """The port of an archive that knows no study."""
    ae = AE("PACS")
    ae.add_supported_context("1.2.840.10008.5.1.4.1.2.2.1")
    handlers = [(evt.EVT_C_FIND, lambda event: iter(()))]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    yield server.server_address[1]
    server.shutdown()


class _Nothing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """QIDO-RS (PS3.18 8.3.4.4): 204 where nothing matches."""
        self.send_response(204)
        self.end_headers()

    def do_POST(self) -> None:
        """Orthanc's `/tools/find`: an empty list where nothing matches."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def empty_web_server() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Nothing)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("kind", PRIOR_SOURCES)
def test_unknown_patient_has_no_priors(
    kind: str, empty_archive: int, empty_web_server: int, tmp_path: Path, database: Database
) -> None:
    port = empty_web_server if kind in ("dicomweb", "orthanc") else empty_archive
    for source in build(kind, port, tmp_path, database):
        assert source.name
        assert source.budget_s > 0
        assert source.candidates(PATIENT) == []


# pynetdicom leaves the socket of a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", PRIOR_SOURCES)
def test_source_that_cannot_answer_says_so_by_a_node_error(
    kind: str, tmp_path: Path, database: Database
) -> None:
    for source in build(kind, free_port(), tmp_path, database):
        said = ""
        try:
            assert source.candidates(PATIENT) == []
        except NodeError as exc:
            said = str(exc)
        assert "NOBODY" not in said


# pynetdicom leaves the socket of an abandoned association to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", [kind for kind in PRIOR_SOURCES if kind != OWN_STORE])
def test_source_that_hangs_is_left_behind_when_its_budget_is_over(
    kind: str, tmp_path: Path, database: Database
) -> None:
    """The peer takes connections and stays silent; what the source waits with is far above its budget."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (source,) = build(kind, silent.getsockname()[1], tmp_path, database, timeout_s=200)
        budgeted = BudgetedSource(source, time.monotonic() + 1)

        with pytest.raises(UnreachableError, match=r"no answer within|its time is used up"):
            budgeted.candidates(PATIENT)
        with pytest.raises(UnreachableError, match="its time is used up"):
            budgeted.candidates(PATIENT)

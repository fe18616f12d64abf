"""What every source of priors must keep to; a new entry of the registry is tested the moment it is named."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import AE, evt

from dicom_node.admission import Patient
from dicom_node.database.engine import Database, open_database
from dicom_node.errors import NodeError
from dicom_node.priors.registry import PRIOR_SOURCES
from dicom_node.priors.source import PriorSource
from dicom_node.settings import NodeSettings
from dicom_node.storage import InstanceStore

PATIENT = Patient("NOBODY", "", "", "")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path}/node.sqlite")
    yield opened
    opened.close()


def build(kind: str, port: int, tmp_path: Path, database: Database) -> list[PriorSource]:
    settings = NodeSettings.model_validate(
        {
            "node": {"data_dir": str(tmp_path)},
            "query_retrieve": [{"name": "PACS", "ae_title": "PACS", "port": port, "timeout_s": 2}],
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


@pytest.mark.parametrize("kind", PRIOR_SOURCES)
def test_unknown_patient_has_no_priors(
    kind: str, empty_archive: int, tmp_path: Path, database: Database
) -> None:
    for source in build(kind, empty_archive, tmp_path, database):
        assert source.name
        assert source.candidates(PATIENT) == []


# pynetdicom leaves the socket of a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", PRIOR_SOURCES)
def test_source_that_cannot_answer_says_so_by_a_node_error(
    kind: str, tmp_path: Path, database: Database
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    for source in build(kind, port, tmp_path, database):
        said = ""
        try:
            assert source.candidates(PATIENT) == []
        except NodeError as exc:
            said = str(exc)
        assert "NOBODY" not in said

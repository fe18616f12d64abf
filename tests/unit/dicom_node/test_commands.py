"""The command line: help, errors in one line, exit statuses."""

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from dicom_node.cli import main
from dicom_node.database.engine import Database, open_database
from dicom_node.diagnosis.doctor import checks
from dicom_node.diagnosis.faults import Fault
from dicom_node.intake import Intake
from dicom_node.overview import gather
from dicom_node.settings import NodeSettings, load_settings
from dicom_node.storage import InstanceStore
from dicom_node.study import JobState, Reason
from tests.unit.dicom_node.arrivals import Sender, dataset, write
from worker.demo.servers import free_port


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(f'[node]\nport = {free_port()}\ndata_dir = "data"\n')
    return path


@pytest.mark.parametrize("name", ["serve", "send", "status", "doctor"])
def test_every_command_explains_itself(name: str) -> None:
    status, output = invoke(name, "--help")

    assert status == 0
    assert "Usage:" in output
    assert len(output) > 200


def test_help_lists_all_commands_with_a_line_each() -> None:
    status, output = invoke("--help")

    assert status == 0
    for name in ("serve", "worker", "demo", "send", "status", "doctor"):
        assert any(line.split()[:1] == [name] and len(line.split()) > 2 for line in output.splitlines())


def test_wrong_configuration_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("[node]\nprot = 1\n")

    status, output = invoke("serve", "--config", str(path))

    assert status == 1
    assert "unknown key node.prot" in output
    assert len(output.strip().splitlines()) == 1


def test_unknown_command_is_told() -> None:
    status, output = invoke("sevre")

    assert status == 2
    assert "sevre" in output


def test_status_before_anything_says_what_to_do(config: Path) -> None:
    status, output = invoke("status", "--config", str(config))

    assert status == 1
    assert "start `medversa-node serve`" in output


def test_status_shows_reasons_and_no_identity(config: Path) -> None:
    settings = load_settings(config, {})
    settings.node.data_dir.mkdir()
    database = open_database(settings.node.database_url)
    sender = Sender(Intake(InstanceStore(settings.node.data_dir, database), database))
    sender.send(dataset(PatientID="ZQMARK"))
    sender.send(dataset(PatientID="ZQMARK2"))
    sender.send(dataset(), sop_instance_uid="9.9")
    database.studies.complete(database.studies.get("1.2.3.100"), Reason.QUIET_PERIOD)
    database.close()

    status, output = invoke("status", "--config", str(config), "--json")
    shown = json.loads(output)

    assert status == 0
    assert shown["studies"][0]["reason"] == "QUIET_PERIOD"
    assert shown["jobs"][0]["state"] == JobState.QUEUED
    refused = [(row["reason"], row["state"], row["dimse_status"]) for row in shown["refusals"]]
    assert refused == [("PATIENT_MISMATCH", "quarantined", "0x0000"), ("UID_MISMATCH", "refused", "0xA900")]
    assert all(row["what_to_do"] for row in shown["refusals"])
    assert "ZQMARK" not in output + invoke("status", "--config", str(config))[1]


def test_overview_is_limited(sender: Sender, database: Database) -> None:
    for number in range(5):
        sender.send(dataset(StudyInstanceUID=f"1.2.{number}"))

    assert len(gather(database, 3)["studies"]) == 3


def test_doctor_says_what_is_missing_and_what_to_do(config: Path) -> None:
    config.write_text(
        config.read_text() + '[broker]\nurl = "redis://127.0.0.1:1/0"\n[worker]\nweights = "none-such"\n'
    )

    status, output = invoke("doctor", "--config", str(config))

    assert status == 1
    assert "MISSING broker" in output
    assert "MISSING weights" in output
    assert output.count("->") >= 2


def test_doctor_finds_the_weights_that_come_with_the_program(config: Path) -> None:
    _, output = invoke("doctor", "--config", str(config))

    assert "ok      weights:" in output


# pynetdicom leaves the socket of a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_doctor_asks_every_peer(tmp_path: Path) -> None:
    settings = NodeSettings.model_validate(
        {
            "node": {"data_dir": str(tmp_path)},
            "destinations": [
                {"name": "pacs", "ae_title": "PACS", "port": 1, "timeout_s": 1},
                {"name": "out", "kind": "folder", "folder": str(tmp_path / "out")},
            ],
        }
    )

    found = {check.name: check for check in checks(settings)}

    assert not found["peer pacs"].is_ok
    assert found["peer pacs"].fault is Fault.NOTHING_LISTENS
    assert "1 may be the wrong port" in found["peer pacs"].what_to_do
    assert found["destination out"].is_ok
    assert found["data folder"].is_ok


def test_doctor_leaves_the_port_of_a_running_node_alone(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = NodeSettings.model_validate({"node": {"data_dir": str(tmp_path), "port": port}})
        check = next(check for check in checks(settings) if check.name == "port")

    assert not check.is_ok
    assert not check.is_needed


# pynetdicom leaves the socket of a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_send_tells_when_nobody_answers(tmp_path: Path) -> None:
    status, output = invoke("send", "--port", "1", str(write(tmp_path)))

    assert status == 2
    assert "does not answer" in output


def test_send_tells_what_is_no_dicom_file(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no DICOM")

    status, output = invoke("send", str(tmp_path))

    assert status == 1
    assert "not sent" in output

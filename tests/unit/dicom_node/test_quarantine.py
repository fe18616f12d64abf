"""What people do about what is kept and not used."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from dicom_node.database.engine import Database, open_database
from dicom_node.intake import Intake
from dicom_node.quarantine import quarantine
from dicom_node.settings import load_settings
from dicom_node.storage import InstanceStore
from dicom_node.study import Reason, SOPInstanceUID, StudyState
from tests.unit.dicom_node.arrivals import Sender, dataset
from worker.contradictions import contradictions

STUDY = "1.2.3.100"
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "node.toml"
    path.write_text('[node]\ndata_dir = "data"\n')
    (tmp_path / "data").mkdir()
    return path


@pytest.fixture
def database(config: Path):
    opened = open_database(load_settings(config, {}).node.database_url)
    yield opened
    opened.close()


@pytest.fixture
def sender(config: Path, database: Database) -> Sender:
    return Sender(Intake(InstanceStore(config.parent / "data", database), database))


@pytest.fixture
def command(config: Path) -> Command:
    def invoke(name: str, *arguments: str) -> tuple[int, str]:
        why = () if name == "list" else ("--reason", "asked the ward", "--by", "Dr. A")
        result = CliRunner().invoke(quarantine, [name, *arguments, *why, "--config", str(config)])
        return result.exit_code, result.output or str(result.exception)

    return invoke


def test_nothing_is_told_where_there_is_nothing(command: Command, database: Database) -> None:
    assert command("list") == (0, "nothing is in quarantine\n")


def test_instance_that_could_not_be_read_is_used_again(
    command: Command, sender: Sender, database: Database
) -> None:
    ds = dataset(PatientName="ZQMARK")
    sender.send(ds)
    database.studies.complete(database.studies.get(STUDY), Reason.QUIET_PERIOD)
    assert database.jobs.claim(database.jobs.of_study(STUDY)[0].job_id, "worker", 60)
    uid = SOPInstanceUID(str(ds.SOPInstanceUID))
    database.refusals.quarantine_instance(uid, Reason.PIXEL_DATA, "no decoder")
    assert database.instances.of_study(STUDY) == []

    listed, shown = json.loads(command("list", "--json")[1]), command("list")[1]
    assert command("release", "1") == (0, "1 is released\n")
    again = command("release", "1")

    assert [row["reason"] for row in listed] == ["PIXEL_DATA"]
    assert "the pixel data cannot be decoded" in shown
    assert "ZQMARK" not in shown
    (back,) = database.instances.of_study(STUDY)
    assert (back.sop_instance_uid, back.path.exists()) == (uid, True)
    after = database.studies.get(STUDY)
    assert (after.state, after.revision) == (StudyState.RECEIVING, 2)
    assert database.instances.of_study(STUDY, up_to_revision=1) == []
    assert again == (0, "1 is released\n")
    assert command("list")[1] == "nothing is in quarantine\n"
    decided = json.loads(command("list", "--all", "--json")[1])[0]["decision"]
    assert (decided["fate"], decided["by"], decided["reason"]) == ("released", "Dr. A", "asked the ward")
    assert database.events.of_study(after.study_instance_uid)[-1].detail == "quarantine 1 released by Dr. A"


@pytest.mark.parametrize("other", [{"PatientID": "P2"}, {"SOPInstanceUID": "1.2.3.4"}])
def test_what_only_its_sender_can_put_right_is_not_released(
    command: Command, sender: Sender, database: Database, other: dict[str, object]
) -> None:
    sender.send(dataset(SOPInstanceUID="1.2.3.4"))
    sender.send(dataset(Rows=4, **other))
    before = database.instances.of_study(STUDY)

    status, output = command("release", "1")

    assert status == 1
    assert "1 cannot be released" in output
    assert "or drop it" in output
    assert database.instances.of_study(STUDY) == before
    assert contradictions(database, STUDY)


def test_dropped_instance_is_deleted_and_stays_on_record(
    command: Command, sender: Sender, database: Database
) -> None:
    sender.send(dataset())
    sender.send(dataset(PatientID="P2"))
    kept_at = database.quarantine.get(1).refusal.kept_at
    assert kept_at is not None

    assert command("drop", "1") == (0, "1 is dropped\n")

    assert not kept_at.exists()
    assert contradictions(database, STUDY) == ()
    assert [refusal.reason for refusal in database.refusals.all()] == [Reason.PATIENT_MISMATCH]
    status, output = command("release", "1")
    assert status == 1
    assert "dropped by Dr. A" in output


@pytest.mark.parametrize("is_of_study", [True, False])
def test_dropped_instance_that_is_sent_again_is_kept_again(
    command: Command, sender: Sender, database: Database, is_of_study: bool
) -> None:
    """What is answered with success must be there, or a sender deletes the only copy."""
    sender.send(dataset())
    ds = dataset(SOPInstanceUID="1.2.3.5", **({} if is_of_study else {"PatientID": "P2"}))
    sender.send(ds)
    if is_of_study:
        database.refusals.quarantine_instance(SOPInstanceUID("1.2.3.5"), Reason.PIXEL_DATA, "no decoder")
    assert command("drop", "1")[0] == 0

    assert sender.send(ds).status == 0

    in_use = {str(instance.sop_instance_uid) for instance in database.instances.of_study(STUDY)}
    assert ("1.2.3.5" in in_use) is is_of_study
    if not is_of_study:
        newest = database.quarantine.all()[-1]
        assert newest.decision is None
        assert newest.refusal.kept_at is not None
        assert newest.refusal.kept_at.exists()
    assert bool(contradictions(database, STUDY)) is not is_of_study


@pytest.mark.parametrize("name", ["release", "drop"])
def test_number_of_nothing_is_told(command: Command, sender: Sender, name: str) -> None:
    sender.send(dataset(), sop_instance_uid="9.9")  # refused, not kept

    status, output = command(name, "1")

    assert status == 1
    assert "nothing in quarantine bears the number 1" in output

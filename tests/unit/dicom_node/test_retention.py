"""What is removed, what never is, and what is left of it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydicom.uid import CTImageStorage, generate_uid
from sqlalchemy import select

from dicom_node.admission import Disposition
from dicom_node.adoption import sweep
from dicom_node.database.engine import Database, open_database
from dicom_node.database.quarantine import Fate
from dicom_node.database.schema import metadata, studies
from dicom_node.errors import DecisionError
from dicom_node.intake import Intake
from dicom_node.orders.order import Order
from dicom_node.retention import keeping
from dicom_node.retention.command import retention
from dicom_node.retention.keeping import Keeper, delete_files
from dicom_node.retention.settings import Retention
from dicom_node.retention.steadiness import Steadiness
from dicom_node.settings import Node, NodeSettings
from dicom_node.storage import InstanceStore
from dicom_node.storage_commitment.messages import Reference, Request
from dicom_node.study import (
    DecisionKind,
    DeliveryState,
    JobId,
    JobState,
    Reason,
    SeriesInstanceUID,
    SOPInstanceUID,
    Stage,
    StoredResult,
    StudyInstanceUID,
    StudyState,
)
from tests.unit.dicom_node.arrivals import Sender, dataset
from tests.unit.dicom_node.conftest import TurnedClock

STUDY = "1.2.3.100"
DAY_S = 86_400.0
DAYS = 30


@dataclass
class Site:
    """An index with its files, and whoever keeps it tidy."""

    folder: Path
    database: Database
    sender: Sender
    clock: TurnedClock
    keeper: Keeper

    def read(self, state: JobState = JobState.DONE, *, is_sent: bool = True, study: str = STUDY) -> JobId:
        """Have a study complete and its job end in a state, with one result."""
        job_id = self.database.studies.complete(self.database.studies.get(study), Reason.QUIET_PERIOD)
        assert job_id is not None
        if state is JobState.QUEUED:
            return job_id
        lease = self.database.jobs.claim(job_id, "worker", 60)
        assert lease is not None
        if state is JobState.RUNNING:
            return job_id
        result = self.result_of(job_id, study)
        self.database.results.keep(lease, [result], {"PACS": None}, ("a fault",) * (state is JobState.HELD))
        if is_sent:
            self.database.deliveries.record(result.sop_instance_uid, "PACS", DeliveryState.DELIVERED, 0x0000)
        self.database.jobs.mark(lease, state)
        return job_id

    def result_of(self, job_id: JobId, study: str) -> StoredResult:
        path = self.folder / "results" / "20260102-12" / f"{job_id}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"result")
        return StoredResult(
            job_id=job_id,
            sop_instance_uid=SOPInstanceUID(f"2.25.{job_id}"),
            sop_class_uid="1.2",
            series_instance_uid=SeriesInstanceUID("2.25.9"),
            study_instance_uid=StudyInstanceUID(study),
            modality="SR",
            series_description="",
            path=path,
            sha256="0" * 64,
            ordinal=0,
        )

    def wait(self, days: float) -> int:
        """Let days go by; return how many studies were removed then."""
        self.clock.turn(days * DAY_S)
        return self.keeper.look(threading.Event())

    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*.dcm") if path.stat().st_size]


def settings_of(folder: Path, days: float | None = DAYS) -> NodeSettings:
    return NodeSettings(node=Node(data_dir=folder), retention=Retention(days=days))


@pytest.fixture
def site(tmp_path: Path, database: Database, sender: Sender, clock: TurnedClock) -> Site:
    began = clock.now
    keeper = Keeper(settings_of(tmp_path), database, lambda: (clock.now - began).total_seconds())
    return Site(tmp_path, database, sender, clock, keeper)


def test_study_goes_when_its_time_is_over_and_not_before(site: Site) -> None:
    site.sender.send(dataset(PatientID="ZQMARK"))
    site.sender.send(dataset(PatientID="ZQMARK"))
    site.database.orders.keep(STUDY, Order(indication="ZQMARK cough"))
    site.read()

    assert site.wait(DAYS - 0.1) == 0
    assert len(site.files()) == 3
    assert site.wait(0.2) == 1

    assert site.files() == []
    assert site.database.removals.files(10) == []
    assert site.database.instances.of_study(STUDY) == []
    assert site.database.orders.of_study(STUDY) is None
    assert "ZQMARK" not in everything_in(site.database)


def everything_in(database: Database) -> str:
    with database.connections.reading() as connection:
        rows = [row for table in metadata.sorted_tables for row in connection.execute(select(table))]
    return "\n".join(map(repr, rows))


def test_what_a_shadow_made_of_a_study_goes_with_it(site: Site) -> None:
    site.sender.send(dataset())
    job_id = site.read()
    made, other = (site.folder / "shadow" / "0123456789ab" / str(n) / "1.dcm" for n in (job_id, job_id + 1))
    for path in (made, other):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"ZQMARK")
    (made.parent / "record.json").write_text("{}")

    assert site.wait(DAYS + 1) == 1
    assert site.files() == [other]
    assert [path.name for path in made.parent.iterdir()] == ["record.json"]


def test_history_says_what_was_here_and_what_was_done(site: Site) -> None:
    site.sender.send(dataset())
    job_id = site.read()
    site.wait(DAYS + 1)

    assert site.database.studies.get(STUDY).state is StudyState.REMOVED
    assert site.database.jobs.get(job_id).state is JobState.DONE
    last = site.database.events.of_study(StudyInstanceUID(STUDY))[-1]
    assert (last.state, last.reason) == ("removed", Reason.REMOVED)
    assert last.detail == "1 images and 1 results: nothing new for 30 days"


def test_nothing_goes_unless_the_configuration_says_so(site: Site) -> None:
    site.sender.send(dataset())
    site.read()
    site.keeper = Keeper(settings_of(site.folder, days=None), site.database)

    assert site.wait(10_000) == 0
    assert len(site.files()) == 2


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.HELD, JobState.FAILED])
def test_O06_study_with_something_to_do_never_goes(site: Site, state: JobState) -> None:
    site.sender.send(dataset())
    site.read(state)

    assert site.wait(10_000) == 0
    with pytest.raises(DecisionError, match=f"job 1 is {state}"):
        site.database.removals.forget(STUDY, "removed by ada")
    assert STUDY in site.database.removals.old(site.clock.now)


def test_study_that_is_being_delivered_never_goes(site: Site) -> None:
    site.sender.send(dataset())
    site.read(JobState.DELIVERING, is_sent=False)

    assert site.wait(10_000) == 0


def test_study_that_is_still_arriving_never_goes(site: Site) -> None:
    site.sender.send(dataset())

    assert site.wait(10_000) == 0


def test_O06_results_that_nobody_else_has_never_go(site: Site) -> None:
    site.sender.send(dataset())
    site.read(is_sent=False)

    assert site.wait(10_000) == 0
    assert site.database.removals.obstacle(STUDY) == "no destination has a result of job 1"


def test_what_a_person_dropped_goes(site: Site) -> None:
    site.sender.send(dataset())
    job_id = site.read(JobState.HELD, is_sent=False)
    site.database.decisions.decide(job_id, DecisionKind.DROPPED, decided_by="ada", why="ZQMARK moved")

    assert site.wait(DAYS + 1) == 1
    assert "ZQMARK" not in everything_in(site.database)


def test_study_with_an_undecided_object_in_quarantine_waits_for_the_decision(site: Site) -> None:
    ds = dataset()
    site.sender.send(ds)
    site.sender.send(dataset())
    site.database.refusals.quarantine_instance(SOPInstanceUID(ds.SOPInstanceUID), Reason.PIXEL_DATA, "")
    site.read()
    assert site.wait(DAYS + 1) == 0
    assert "in quarantine" in site.database.removals.obstacle(STUDY)

    (kept,) = site.database.quarantine.all()
    site.database.quarantine.decide(kept.number, Fate.DROPPED, decided_by="ada", why="ZQMARK is blurred")

    assert site.wait(1) == 1
    assert "ZQMARK" not in everything_in(site.database)


def test_report_about_a_commitment_is_owed_first_though_not_for_ever(site: Site) -> None:
    ds = dataset()
    site.sender.send(ds)
    site.read()
    request = Request("1.2.9", (Reference(CTImageStorage, ds.SOPInstanceUID),))
    site.clock.turn(DAYS * DAY_S)
    site.database.commitments.take("CT1", request)

    assert site.wait(1) == 0
    assert site.wait(7) == 1
    assert [asked.ae_title for asked in site.database.commitments.due(["CT1"])] == ["CT1"]
    site.wait(DAYS)
    assert site.database.commitments.due(["CT1"]) == []


def test_prior_stays_while_a_study_of_its_patient_is_read(site: Site) -> None:
    newer = generate_uid()
    site.sender.send(dataset())
    site.read()
    site.clock.turn(DAYS * DAY_S)
    site.sender.send(dataset(StudyInstanceUID=newer))
    job_id = site.read(JobState.RUNNING, study=newer)

    assert site.wait(1) == 0
    assert site.database.removals.obstacle(STUDY) == f"job {job_id} reads another study of the patient"


def test_studies_without_patient_id_do_not_wait_for_each_other(site: Site) -> None:
    newer = generate_uid()
    site.sender.send(dataset(PatientID=""))
    site.read()
    site.clock.turn(DAYS * DAY_S)
    site.sender.send(dataset(PatientID="", StudyInstanceUID=newer))
    site.read(JobState.RUNNING, study=newer)

    assert site.wait(1) == 1


def test_removed_study_that_comes_again_is_read_as_a_new_revision(site: Site) -> None:
    """Else its results would bear the identifiers of those that the archive has."""
    ds = dataset()
    site.sender.send(ds)
    site.read()
    site.wait(DAYS + 1)

    assert site.sender.send(ds).status == 0x0000
    study = site.database.studies.get(STUDY)
    assert (study.state, study.revision, study.instance_count) == (StudyState.RECEIVING, 2, 1)
    assert study.patient_key == "\\P1"
    site.read()
    assert [job.revision for job in site.database.jobs.of_study(STUDY)] == [1, 2]


def test_removed_study_may_come_again_under_a_corrected_patient(site: Site) -> None:
    site.sender.send(dataset(PatientID="wrong"))
    site.read()
    site.wait(DAYS + 1)

    outcome = site.sender.send(dataset(PatientID="right"))

    assert (outcome.status, outcome.disposition) == (0x0000, Disposition.KEPT)
    assert site.database.refusals.all() == []


def test_job_of_a_removed_study_cannot_be_replayed(site: Site) -> None:
    site.sender.send(dataset())
    job_id = site.read(JobState.QUEUED)
    site.database.interventions.cancel(job_id, decided_by="ada", why="")
    assert site.wait(DAYS + 1) == 1

    with pytest.raises(DecisionError, match="its images were removed"):
        site.database.interventions.replay(job_id, decided_by="ada", why="")


def test_interrupted_removal_is_ended_and_its_files_never_come_back(site: Site, store: InstanceStore) -> None:
    site.sender.send(dataset())
    site.read()
    site.database.removals.forget(STUDY, "removed by ada")
    assert len(site.files()) == 2

    assert sweep(store, now=1e12) == 0, "a sweep must not index what was forgotten"
    assert len(site.files()) == 2
    site.keeper.look(threading.Event())

    assert site.files() == []
    assert site.database.removals.files(10) == []


def test_file_that_cannot_be_deleted_now_is_tried_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.sender.send(dataset())
    site.read()
    site.database.removals.forget(STUDY, "removed by ada")

    def fail(_folder: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(keeping, "sync_folder", fail)
        delete_files(site.database)
    assert len(site.database.removals.files(10)) == 2
    delete_files(site.database)
    assert site.database.removals.files(10) == []


def test_emptied_folders_of_the_past_go_too(site: Site) -> None:
    site.sender.send(dataset())
    site.read()
    assert site.wait(DAYS + 1) == 1

    assert list((site.folder / "results").iterdir()) == []
    assert [folder.name for folder in (site.folder / "instances").iterdir()] != [], "this hour's is in use"


def test_O06_clock_that_jumped_removes_nothing(site: Site) -> None:
    """Ten years later at once: until it has been so for a day, it may be wrong."""
    counted = [0.0]
    keeper = Keeper(settings_of(site.folder), site.database, lambda: counted[0])
    site.sender.send(dataset())
    site.read()
    counted[0] += 2 * DAY_S
    site.clock.turn(2 * DAY_S + 3650 * DAY_S)

    assert keeper.look(threading.Event()) == 0
    counted[0] += DAY_S / 2
    site.clock.turn(DAY_S / 2)
    assert keeper.look(threading.Event()) == 0
    counted[0] += DAY_S
    site.clock.turn(DAY_S)
    assert keeper.look(threading.Event()) == 1


@pytest.mark.parametrize(("hours", "is_trusted"), [(0, False), (23, False), (24, True), (100, True)])
def test_clock_is_trusted_after_a_steady_day(clock: TurnedClock, hours: int, is_trusted: bool) -> None:
    began = clock.now
    steadiness = Steadiness(clock, lambda: (clock.now - began) / timedelta(seconds=1))
    clock.turn(hours * 3600)

    assert steadiness.is_trusted() is is_trusted


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    config = tmp_path / "node.toml"
    config.write_text('[node]\ndata_dir = "data"\n')
    (tmp_path / "data").mkdir()

    def invoke(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(retention, [*arguments, "--config", str(config)])
        return result.exit_code, result.output or str(result.exception)

    return invoke


def test_person_removes_a_study_and_sees_what_stands_in_the_way(
    tmp_path: Path, command: Callable[..., tuple[int, str]], clock: TurnedClock
) -> None:
    data = tmp_path / "data"
    database = open_database(f"sqlite:///{data}/node.sqlite", clock)
    sender = Sender(Intake(InstanceStore(data, database), database))
    site = Site(data, database, sender, clock, Keeper(settings_of(data), database))
    waiting = generate_uid()
    site.sender.send(dataset())
    site.read()
    site.sender.send(dataset(StudyInstanceUID=waiting, PatientID="P2"))
    job_id = site.read(JobState.FAILED, study=waiting)

    assert command("list") == (0, f"{STUDY}  can be removed\n{waiting}  job {job_id} is failed\n")
    assert command("remove", waiting) == (1, f"the study cannot be removed: job {job_id} is failed")
    assert command("remove", STUDY, "--by", "ada") == (0, f"{STUDY} is removed: 1 images and 1 results\n")
    assert command("remove", STUDY) == (1, "the study cannot be removed: it was removed before")
    assert command("remove", "1.2.3.4") == (1, "the study is not known here")
    assert command("list") == (0, f"{waiting}  job {job_id} is failed\n")
    assert [path.name for path in site.files()] != []
    with database.connections.reading() as connection:
        assert len(connection.execute(select(studies)).all()) == 2
    assert database.events.of_study(StudyInstanceUID(STUDY))[-1].detail.endswith("removed by ada")
    assert database.jobs.waiting(Stage.READING) == []
    database.close()

"""Holds and decisions: held from the first moment, decided once, by whom and why."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert, text, update

from dicom_node.database.engine import Database, open_database
from dicom_node.database.schema import SCHEMA_VERSION, decisions, holds, schema_version
from dicom_node.errors import DecisionError, LeaseError, StorageError
from dicom_node.study import (
    DecisionKind,
    DeliveryState,
    JobId,
    JobState,
    Lease,
    OnHold,
    Reason,
    SeriesInstanceUID,
    SOPInstanceUID,
    Stage,
    StoredResult,
    StudyInstanceUID,
)
from tests.unit.dicom_node.arrivals import Sender, dataset
from tests.unit.dicom_node.conftest import TurnedClock
from tests.unit.dicom_node.test_jobs import STUDY, claim, complete

FAULTS = ("SR: claims to be verified", "SEG: holds a private attribute")


@pytest.fixture
def lease(sender: Sender, database: Database) -> Lease:
    sender.send(dataset())
    return claim(database, complete(database))


def stored(job_id: JobId) -> StoredResult:
    return StoredResult(
        job_id=job_id,
        sop_instance_uid=SOPInstanceUID("1.2.3.9.1"),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        series_instance_uid=SeriesInstanceUID("1.2.3.9"),
        study_instance_uid=StudyInstanceUID(STUDY),
        modality="SR",
        series_description="AI",
        path=Path("/nowhere"),
        sha256="0",
        ordinal=0,
    )


@pytest.fixture
def held(lease: Lease, database: Database) -> JobId:
    """A job whose results are held, as a worker leaves it."""
    database.results.keep(lease, [stored(lease.job.job_id)], {"PACS": None}, FAULTS)
    database.jobs.mark(lease, JobState.HELD, Reason.WITHHELD, "; ".join(FAULTS))
    return lease.job.job_id


def decide(database: Database, job_id: JobId, kind: OnHold) -> bool:
    return database.decisions.decide(job_id, kind, decided_by="ada", why="looked at it")


def test_results_are_held_from_the_moment_they_exist(lease: Lease, database: Database) -> None:
    """A worker that dies right after keeping must not let its successor deliver."""
    database.results.keep(lease, [stored(lease.job.job_id)], {}, FAULTS)
    hold = database.decisions.hold_of(lease.job.job_id)
    assert hold is not None
    assert hold.faults == FAULTS
    assert not hold.is_released
    assert database.decisions.withheld_jobs(STUDY) == {lease.job.job_id}


def test_results_without_faults_are_not_held(lease: Lease, database: Database) -> None:
    database.results.keep(lease, [stored(lease.job.job_id)], {})
    assert database.decisions.hold_of(lease.job.job_id) is None
    assert database.decisions.holds() == []
    assert database.decisions.withheld_jobs(STUDY) == set()


def test_a_held_job_is_neither_claimed_nor_swept(held: JobId, database: Database, clock: TurnedClock) -> None:
    clock.turn(100_000)
    assert database.jobs.claim(held, "worker", 60) is None
    assert database.jobs.waiting(Stage.DELIVERY) == []
    assert database.jobs.get(held).reason is Reason.WITHHELD


def test_a_released_job_is_due_at_once_and_delivers(held: JobId, database: Database) -> None:
    assert decide(database, held, DecisionKind.RELEASED)
    assert database.jobs.waiting(Stage.DELIVERY) == [held]
    assert claim(database, held).job.state is JobState.DELIVERING
    assert [delivery.state for delivery in database.deliveries.of_job(held)] == [DeliveryState.PENDING]
    assert database.decisions.withheld_jobs(STUDY) == set()


def test_a_dropped_job_is_over_and_nothing_of_it_is_pending(held: JobId, database: Database) -> None:
    assert decide(database, held, DecisionKind.DROPPED)
    assert database.jobs.get(held).state is JobState.DROPPED
    assert database.jobs.claim(held, "worker", 60) is None
    assert database.jobs.waiting(Stage.DELIVERY) == []
    assert database.deliveries.pending(held) == []
    assert database.decisions.withheld_jobs(STUDY) == {held}


def test_who_when_and_why_are_kept(held: JobId, database: Database, clock: TurnedClock) -> None:
    clock.turn(30)
    decide(database, held, DecisionKind.DROPPED)
    (hold,) = database.decisions.holds()
    assert hold.decision is not None
    assert (hold.decision.decided_by, hold.decision.why) == ("ada", "looked at it")
    assert hold.decision.at == clock.now == database.decisions.last_at(held)
    assert "looked at it" not in repr(hold)
    (*_, last) = database.events.of_study(StudyInstanceUID(STUDY))
    assert (last.state, last.reason) == ("dropped", Reason.DROPPED)


@pytest.mark.parametrize("kind", [DecisionKind.RELEASED, DecisionKind.DROPPED])
def test_deciding_the_same_again_changes_nothing(held: JobId, database: Database, kind: OnHold) -> None:
    decide(database, held, kind)
    before = database.jobs.get(held), database.events.of_study(StudyInstanceUID(STUDY))
    assert not database.decisions.decide(held, kind, decided_by="bob", why="again")
    assert (database.jobs.get(held), database.events.of_study(StudyInstanceUID(STUDY))) == before
    (hold,) = database.decisions.holds()
    assert hold.decision is not None
    assert hold.decision.decided_by == "ada"


def test_a_decision_is_not_turned_round(held: JobId, database: Database) -> None:
    decide(database, held, DecisionKind.DROPPED)
    with pytest.raises(DecisionError, match="dropped by ada"):
        decide(database, held, DecisionKind.RELEASED)
    assert database.jobs.get(held).state is JobState.DROPPED


def test_there_is_nothing_to_decide_where_nothing_is_held(lease: Lease, database: Database) -> None:
    for job_id in (lease.job.job_id, JobId(99)):
        with pytest.raises(DecisionError, match="are held"):
            decide(database, job_id, DecisionKind.RELEASED)


def test_a_worker_that_is_about_to_hold_loses_the_job_to_a_decision(lease: Lease, database: Database) -> None:
    database.results.keep(lease, [stored(lease.job.job_id)], {}, FAULTS)
    decide(database, lease.job.job_id, DecisionKind.RELEASED)
    with pytest.raises(LeaseError):
        database.jobs.mark(lease, JobState.HELD, Reason.WITHHELD)
    assert database.jobs.get(lease.job.job_id).state is JobState.DELIVERING


def test_an_index_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.sqlite"
    open_database(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in (decisions, holds):
            table.drop(connection)
        connection.execute(update(schema_version).values(version=1))
    database = open_database(url)
    assert database.decisions.holds() == []
    database.close()
    with engine.begin() as connection:
        assert connection.execute(text("SELECT version FROM schema_version")).scalar_one() == SCHEMA_VERSION
    engine.dispose()


def test_an_index_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.sqlite"
    open_database(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(schema_version.delete())
        connection.execute(insert(schema_version).values(version=SCHEMA_VERSION + 1))
    engine.dispose()
    with pytest.raises(StorageError, match="upgrade"):
        open_database(url)


def test_a_job_that_was_cancelled_before_it_was_held_is_not_released_into_nothing(
    lease: Lease, database: Database
) -> None:
    """Its deliveries are cancelled: it would end as delivered, and nobody would have anything."""
    job_id = lease.job.job_id
    database.results.keep(lease, [stored(job_id)], {"PACS": None}, FAULTS)
    database.interventions.cancel(job_id, decided_by="ada", why="sent twice")

    with pytest.raises(DecisionError, match="replay it first"):
        decide(database, job_id, DecisionKind.RELEASED)

    database.interventions.replay(job_id, decided_by="ada", why="after all")
    decide(database, job_id, DecisionKind.RELEASED)
    assert [each.destination for each in database.deliveries.pending(job_id)] == ["PACS"]

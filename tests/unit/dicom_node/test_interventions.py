"""Cancelling and replaying: what a person decides about a job, whatever a worker does meanwhile."""

from pathlib import Path

import pytest

from dicom_node.database.decisions import decision_of_row
from dicom_node.database.engine import Database
from dicom_node.database.schema import decisions
from dicom_node.errors import DecisionError, LeaseError
from dicom_node.study import (
    DecisionKind,
    DeliveryState,
    JobId,
    JobState,
    Lease,
    Reason,
    SeriesInstanceUID,
    SOPInstanceUID,
    Stage,
    StoredResult,
    StudyInstanceUID,
)
from tests.unit.dicom_node.arrivals import Sender, dataset

STUDY = "1.2.3.100"
BY = {"decided_by": "ada", "why": "sent twice"}


@pytest.fixture
def job_id(sender: Sender, database: Database) -> JobId:
    sender.send(dataset())
    job_id = database.studies.complete(database.studies.get(STUDY), Reason.QUIET_PERIOD)
    assert job_id is not None
    return job_id


def taken(database: Database, stage: Stage) -> Lease:
    lease = database.jobs.claim_next(stage, "worker", 60)
    assert lease is not None
    return lease


def read(database: Database) -> Lease:
    """Take the job, keep two results of it and hand it over."""
    lease = taken(database, Stage.READING)
    stored = [
        StoredResult(
            job_id=lease.job.job_id,
            sop_instance_uid=SOPInstanceUID(f"2.25.{ordinal}"),
            sop_class_uid="1.2",
            series_instance_uid=SeriesInstanceUID("2.25.9"),
            study_instance_uid=StudyInstanceUID(STUDY),
            modality="SR",
            series_description="",
            path=Path("/results/1.dcm"),
            sha256="0" * 64,
            ordinal=ordinal,
        )
        for ordinal in (0, 1)
    ]
    database.results.keep(lease, stored, {"PACS": None})
    database.jobs.hand_over(lease)
    return lease


def test_cancelled_job_is_not_offered_any_more(database: Database, job_id: JobId) -> None:
    assert database.interventions.cancel(job_id, **BY)
    assert not database.interventions.cancel(job_id, **BY)

    job = database.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.CANCELLED, Reason.CANCELLED)
    assert database.jobs.waiting(Stage.READING) == []
    assert database.jobs.claim(job_id, "worker", 60) is None


def test_worker_of_a_cancelled_job_keeps_nothing(database: Database, job_id: JobId) -> None:
    lease = taken(database, Stage.READING)
    database.interventions.cancel(job_id, **BY)

    with pytest.raises(LeaseError):
        database.results.keep(lease, [], {})
    with pytest.raises(LeaseError):
        database.jobs.hand_over(lease)
    assert database.jobs.get(job_id).state is JobState.CANCELLED


def test_what_was_not_sent_when_a_job_is_cancelled_never_is(database: Database, job_id: JobId) -> None:
    read(database)
    first = database.deliveries.of_job(job_id)[0]
    database.deliveries.record(first.sop_instance_uid, "PACS", DeliveryState.DELIVERED, 0)

    database.interventions.cancel(job_id, **BY)

    states = [delivery.state for delivery in database.deliveries.of_job(job_id)]
    assert states == [DeliveryState.DELIVERED, DeliveryState.CANCELLED]


def test_dead_letter_that_was_never_read_is_read_with_all_its_attempts(
    database: Database, job_id: JobId
) -> None:
    database.jobs.mark(taken(database, Stage.READING), JobState.FAILED, Reason.WORKER_LOST)

    database.interventions.replay(job_id, **BY)

    lease = taken(database, Stage.READING)
    assert (lease.job.job_id, lease.job.attempts) == (job_id, 1)


def test_dead_letter_with_results_sends_only_what_is_missing(database: Database, job_id: JobId) -> None:
    read(database)
    first, second = database.deliveries.of_job(job_id)
    database.deliveries.record(first.sop_instance_uid, "PACS", DeliveryState.DELIVERED, 0)
    database.deliveries.record(second.sop_instance_uid, "PACS", DeliveryState.REFUSED, 0xC000)
    database.jobs.mark(taken(database, Stage.DELIVERY), JobState.FAILED, Reason.PEER_REFUSED)

    database.interventions.replay(job_id, **BY)

    assert database.jobs.waiting(Stage.DELIVERY) == [job_id]
    assert [each.sop_instance_uid for each in database.deliveries.pending(job_id)] == ["2.25.1"]


def test_cancelled_job_can_be_replayed(database: Database, job_id: JobId) -> None:
    read(database)
    database.interventions.cancel(job_id, **BY)

    database.interventions.replay(job_id, **BY)

    assert len(database.deliveries.pending(job_id)) == 2
    assert database.jobs.get(job_id).reason is Reason.REPLAYED


def test_what_is_over_can_neither_be_cancelled_nor_replayed(database: Database, job_id: JobId) -> None:
    database.jobs.mark(taken(database, Stage.READING), JobState.DONE, Reason.DELIVERED)

    for decide in (database.interventions.cancel, database.interventions.replay):
        with pytest.raises(DecisionError, match="it is done"):
            decide(job_id, **BY)
        with pytest.raises(DecisionError, match="not known"):
            decide(JobId(99), **BY)


def test_who_decided_and_why_is_written_down(database: Database, job_id: JobId) -> None:
    database.interventions.cancel(job_id, **BY)
    database.interventions.replay(job_id, decided_by="bob", why="by mistake")

    with database.connections.reading() as connection:
        rows = connection.execute(decisions.select().order_by(decisions.c.decision_id))
        told = [decision_of_row(row) for row in rows]
    assert [(each.kind, each.decided_by, each.why) for each in told] == [
        (DecisionKind.CANCELLED, "ada", "sent twice"),
        (DecisionKind.REPLAYED, "bob", "by mistake"),
    ]

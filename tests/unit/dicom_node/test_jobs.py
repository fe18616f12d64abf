"""Jobs and leases: one job per revision, one worker per job, and what happens to lost ones."""

import pytest

from dicom_node.database.engine import Database
from dicom_node.errors import LeaseError, StorageError
from dicom_node.study import JobId, JobState, Lease, Priority, Reason, Stage, StudyState
from tests.unit.dicom_node.arrivals import Sender, dataset
from tests.unit.dicom_node.conftest import TurnedClock

STUDY = "1.2.3.100"


def complete(database: Database) -> JobId:
    job_id = database.studies.complete(database.studies.get(STUDY), Reason.QUIET_PERIOD)
    assert job_id is not None
    return job_id


def claim(database: Database, job_id: JobId, owner: str = "worker 1") -> Lease:
    lease = database.jobs.claim(job_id, owner, lease_s=60)
    assert lease is not None
    return lease


def due(database: Database) -> tuple[JobId, ...]:
    """Sweep; return what waits for workers of any stage."""
    database.jobs.sweep(3, 60)
    return tuple(job_id for stage in Stage for job_id in database.jobs.waiting(stage))


@pytest.fixture
def job_id(sender: Sender, database: Database) -> JobId:
    sender.send(dataset())
    return complete(database)


def test_completing_twice_makes_one_job(sender: Sender, database: Database) -> None:
    sender.send(dataset())
    study = database.studies.get(STUDY)

    first = database.studies.complete(study, Reason.QUIET_PERIOD)
    second = database.studies.complete(study, Reason.QUIET_PERIOD)

    assert (first is not None, second) == (True, None)
    assert len(database.jobs.of_study(STUDY)) == 1


def test_study_that_received_something_meanwhile_is_not_completed(
    sender: Sender, database: Database, clock: TurnedClock
) -> None:
    sender.send(dataset())
    seen = database.studies.get(STUDY)
    clock.turn(1)
    sender.send(dataset())

    assert database.studies.complete(seen, Reason.QUIET_PERIOD) is None
    assert database.studies.get(STUDY).state is StudyState.RECEIVING


def test_job_is_claimed_by_one_worker_only(database: Database, job_id: JobId) -> None:
    lease = claim(database, job_id)

    assert database.jobs.claim(job_id, "worker 2", 60) is None
    assert (lease.job.state, lease.job.attempts) == (JobState.RUNNING, 1)


def test_unknown_job_is_not_claimable(database: Database) -> None:
    assert database.jobs.claim(JobId(99), "worker 1", 60) is None


def test_renewed_lease_outlives_its_first_term(database: Database, job_id: JobId, clock: TurnedClock) -> None:
    lease = claim(database, job_id)
    clock.turn(50)
    lease = database.jobs.renew(lease, 60)
    clock.turn(50)

    assert due(database) == ()
    database.jobs.mark(lease, JobState.DONE, Reason.DELIVERED)
    assert database.jobs.get(job_id).state is JobState.DONE


def test_lost_worker_is_replaced_and_fenced(database: Database, job_id: JobId, clock: TurnedClock) -> None:
    zombie = claim(database, job_id)
    clock.turn(61)

    assert due(database) == (job_id,)
    successor = claim(database, job_id, "worker 2")

    assert successor.token > zombie.token
    assert successor.job.attempts == 2
    for act in (
        lambda: database.jobs.mark(zombie, JobState.DONE),
        lambda: database.jobs.renew(zombie, 60),
        lambda: database.jobs.retry_later(zombie, JobState.QUEUED, Reason.INTERNAL, "", 1),
    ):
        with pytest.raises(LeaseError):
            act()
    assert database.jobs.get(job_id).state is JobState.RUNNING


def test_Q03_lost_worker_is_fenced_before_anybody_takes_over(
    database: Database, job_id: JobId, clock: TurnedClock
) -> None:
    zombie = claim(database, job_id)
    clock.turn(61)
    database.jobs.sweep(3, 60)

    with pytest.raises(LeaseError):
        database.jobs.mark(zombie, JobState.DELIVERING)


def test_job_that_costs_every_worker_fails_visibly(
    database: Database, job_id: JobId, clock: TurnedClock
) -> None:
    for _ in range(3):
        claim(database, job_id)
        clock.turn(61)
        given_up = database.jobs.sweep(3, 60)

    assert (due(database), given_up) == ((), [job_id])
    job = database.jobs.get(job_id)
    assert (job.state, job.reason, job.attempts) == (JobState.FAILED, Reason.WORKER_LOST, 3)
    assert database.jobs.claim(job_id, "worker 4", 60) is None


def test_retry_waits_for_its_time(database: Database, job_id: JobId, clock: TurnedClock) -> None:
    lease = claim(database, job_id)
    database.jobs.retry_later(lease, JobState.DELIVERING, Reason.PEER_UNREACHABLE, "pacs", 30)

    assert database.jobs.claim(job_id, "worker 1", 60) is None
    assert due(database) == ()
    clock.turn(31)
    assert due(database) == (job_id,)
    assert claim(database, job_id).job.state is JobState.DELIVERING


def test_worker_lost_while_delivering_does_not_read_again(
    database: Database, job_id: JobId, clock: TurnedClock
) -> None:
    lease = claim(database, job_id)
    database.jobs.mark(lease, JobState.DELIVERING)
    clock.turn(61)

    database.jobs.sweep(3, 60)

    assert claim(database, job_id, "worker 2").job.state is JobState.DELIVERING


def test_T17_late_image_before_the_reading_reopens_the_same_revision(
    sender: Sender, database: Database, job_id: JobId
) -> None:
    sender.send(dataset())

    study = database.studies.get(STUDY)
    assert (study.state, study.revision) == (StudyState.RECEIVING, 1)
    assert database.jobs.claim(job_id, "worker 1", 60) is None
    assert due(database) == ()
    assert complete(database) == job_id
    assert claim(database, job_id).job.revision == 1


def test_T17_late_image_after_the_reading_has_begun_makes_a_new_revision(
    sender: Sender, database: Database, job_id: JobId
) -> None:
    lease = claim(database, job_id)

    sender.send(dataset())

    study = database.studies.get(STUDY)
    assert (study.state, study.revision, study.reason) == (StudyState.RECEIVING, 2, Reason.LATE_INSTANCE)
    database.jobs.mark(lease, JobState.DONE, Reason.DELIVERED)
    assert complete(database) != job_id
    assert [job.revision for job in database.jobs.of_study(STUDY)] == [1, 2]
    assert len(database.instances.of_study(STUDY, up_to_revision=1)) == 1


def test_job_of_a_replaced_revision_ends_without_a_reading(
    sender: Sender, database: Database, job_id: JobId
) -> None:
    lease = claim(database, job_id)
    database.jobs.retry_later(lease, JobState.QUEUED, Reason.INTERNAL, "", 0)
    sender.send(dataset())

    assert database.jobs.claim(job_id, "worker 1", 60) is None
    job = database.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.NOT_APPLICABLE, Reason.LATE_INSTANCE)


def test_late_object_that_is_no_image_reopens_nothing(
    sender: Sender, database: Database, job_id: JobId
) -> None:
    claim(database, job_id)

    sender.send(dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR", PixelData=None))

    assert database.studies.get(STUDY).state is StudyState.COMPLETE


def test_history_tells_every_step(database: Database, job_id: JobId) -> None:
    lease = claim(database, job_id)
    database.jobs.mark(lease, JobState.FAILED, Reason.WEIGHTS, "altered")

    history = [(event.state, event.reason) for event in database.events.of_study(STUDY)]

    assert history == [
        ("complete", Reason.QUIET_PERIOD),
        ("queued", None),
        ("running", None),
        ("failed", Reason.WEIGHTS),
    ]


def test_lost_worker_is_replaced_after_a_delay_that_grows(
    database: Database, job_id: JobId, clock: TurnedClock
) -> None:
    for delay_s in (10, 60):
        claim(database, job_id)
        clock.turn(61)
        database.jobs.sweep(3, 60, (10, 60, 300))
        clock.turn(delay_s - 1)
        assert database.jobs.waiting(Stage.READING) == []
        clock.turn(1)
        assert database.jobs.waiting(Stage.READING) == [job_id]


def lose_at_delivery(database: Database, job_id: JobId, clock: TurnedClock) -> list[JobId]:
    """A worker takes a job to deliver it, and dies of it; return what the sweep after it gives up."""
    claim(database, job_id)
    clock.turn(61)
    assert database.jobs.waiting(Stage.DELIVERY) == []  # not before the loss was counted
    given_up = database.jobs.sweep(3, 60, (10, 60, 300))
    clock.turn(61)
    return given_up


def test_delivery_that_ends_every_worker_fails_in_the_end(
    database: Database, job_id: JobId, clock: TurnedClock
) -> None:
    database.jobs.hand_over(claim(database, job_id))

    assert lose_at_delivery(database, job_id, clock) == []
    assert lose_at_delivery(database, job_id, clock) == []
    assert lose_at_delivery(database, job_id, clock) == [job_id]

    job = database.jobs.get(job_id)
    assert (job.state, job.reason, job.detail) == (JobState.FAILED, Reason.WORKER_LOST, "3 attempts")


def test_workers_that_are_lost_now_and_then_end_no_delivery(
    database: Database, job_id: JobId, clock: TurnedClock
) -> None:
    database.jobs.hand_over(claim(database, job_id))
    for _ in range(3):
        assert lose_at_delivery(database, job_id, clock) == []
        lease = claim(database, job_id)
        database.jobs.retry_later(lease, JobState.DELIVERING, Reason.PEER_UNREACHABLE, "", 10)
        clock.turn(11)

    assert lose_at_delivery(database, job_id, clock) == []
    assert database.jobs.get(job_id).state is JobState.DELIVERING


def test_replayed_delivery_has_all_its_attempts_again(
    database: Database, job_id: JobId, clock: TurnedClock
) -> None:
    database.jobs.hand_over(claim(database, job_id))
    for _ in range(3):
        lose_at_delivery(database, job_id, clock)
    database.interventions.replay(job_id, decided_by="admin", why="the fault is mended")
    lease = claim(database, job_id)
    database.jobs.mark(lease, JobState.DELIVERING)
    clock.turn(61)

    assert database.jobs.sweep(3, 60) == []


def test_Q12_worker_that_was_stopped_at_the_time_limit_is_told_from_a_lost_one(
    database: Database, job_id: JobId, clock: TurnedClock
) -> None:
    lease = claim(database, job_id)
    for _ in range(10):
        clock.turn(20)
        lease = database.jobs.renew(lease, 60)
    clock.turn(61)

    database.jobs.sweep(3, time_limit_s=180)

    job = database.jobs.get(job_id)
    assert (job.state, job.reason, job.attempts) == (JobState.QUEUED, Reason.TIMEOUT, 1)


def test_reading_that_the_surroundings_ended_is_not_counted(
    database: Database, job_id: JobId, clock: TurnedClock
) -> None:
    for _ in range(5):
        lease = claim(database, job_id)
        database.jobs.retry_later(lease, JobState.QUEUED, Reason.DISK_FULL, "", 1, is_counted=False)
        clock.turn(2)

    assert claim(database, job_id).job.attempts == 1


def test_sending_is_counted_apart_from_reading(database: Database, job_id: JobId) -> None:
    lease = database.jobs.claim_next(Stage.READING, "reader", 60)
    assert lease is not None
    assert database.jobs.claim_next(Stage.DELIVERY, "sender", 60) is None
    database.jobs.hand_over(lease)

    lease = database.jobs.claim_next(Stage.DELIVERY, "sender", 60)

    assert lease is not None
    assert (lease.job.state, lease.job.attempts, lease.job.sendings) == (JobState.DELIVERING, 1, 1)


def test_Q06_reader_that_was_stopped_while_another_took_over_hands_nothing_over(
    database: Database, job_id: JobId, clock: TurnedClock
) -> None:
    zombie = claim(database, job_id)
    clock.turn(300)
    database.jobs.sweep(3, 60)
    successor = claim(database, job_id, "worker 2")

    with pytest.raises(LeaseError):
        database.jobs.hand_over(zombie)

    database.jobs.hand_over(successor)
    assert database.jobs.get(job_id).state is JobState.DELIVERING


def test_priority_of_a_job_can_change_until_it_is_taken(database: Database, job_id: JobId) -> None:
    assert database.jobs.prioritize(job_id, Priority.STAT, "ada")
    assert not database.jobs.prioritize(job_id, Priority.STAT, "ada")

    assert claim(database, job_id).job.priority is Priority.STAT
    with pytest.raises(StorageError):
        database.jobs.prioritize(JobId(99), Priority.STAT, "ada")


def test_job_of_a_study_that_late_images_put_outside_the_rules_ends_with_it(
    sender: Sender, database: Database, job_id: JobId
) -> None:
    sender.send(dataset())
    assert database.studies.set_aside(database.studies.get(STUDY), Reason.RULED_OUT, "rule x: ...")

    job = database.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.NOT_APPLICABLE, Reason.RULED_OUT)

    sender.send(dataset())
    assert database.studies.get(STUDY).revision == 2
    again = complete(database)
    assert again != job_id
    assert claim(database, again).job.revision == 2

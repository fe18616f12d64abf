"""Steps within one transaction by which a job is taken, kept, moved on and given back."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, or_, select, update

from dicom_node.database.events import record_event
from dicom_node.database.schema import events, jobs, studies
from dicom_node.errors import LeaseError
from dicom_node.study import (
    Job,
    JobId,
    JobState,
    Lease,
    Priority,
    Reason,
    Stage,
    StudyInstanceUID,
    StudyState,
)

WAITING_STATE = {Stage.READING: JobState.QUEUED, Stage.DELIVERY: JobState.DELIVERING}
"""In which state a job waits for each stage."""

AT_REST = (
    JobState.HELD,
    JobState.DONE,
    JobState.DROPPED,
    JobState.CANCELLED,
    JobState.NOT_APPLICABLE,
    JobState.FAILED,
)
"""States in which no worker has anything to do."""


def free_of_lease(token: int) -> dict[str, Any]:
    """Return the values by which a job belongs to nobody; the token grows, so whoever had it is fenced."""
    return {"lease_owner": None, "lease_until": None, "lease_token": token + 1}


def waiting(stage: Stage, now: datetime) -> Select[Any]:
    """Select jobs that wait for a stage, are due and belong to nobody, the most urgent first.

    One whose lease has ended belongs to its lost worker until the sweep has counted the loss.
    """
    query = (
        select(jobs)
        .where(jobs.c.state == WAITING_STATE[stage], jobs.c.not_before <= now, jobs.c.lease_until.is_(None))
        .order_by(jobs.c.overdue_at, jobs.c.job_id)
    )
    if stage is Stage.READING:
        # A study that is receiving again is not read before it is complete again; a revision that was
        # replaced is taken only to be ended.
        query = query.join(studies, studies.c.study_instance_uid == jobs.c.study_instance_uid).where(
            or_(studies.c.state == StudyState.COMPLETE, studies.c.revision > jobs.c.revision)
        )
    return query


def take(connection: Connection, row: Row[Any], owner: str, now: datetime, until: datetime) -> Lease | None:
    """Take a job that is waiting; None if its study is open again or has a newer revision."""
    is_reading = row.state == JobState.QUEUED
    if is_reading and not _is_current(connection, row, now):
        return None
    state = JobState.RUNNING if is_reading else JobState.DELIVERING
    token = row.lease_token + 1
    values = {
        "state": state,
        "attempts": row.attempts + is_reading,
        "sendings": row.sendings + (not is_reading),
        "lease_owner": owner,
        "lease_token": token,
        "lease_until": until,
        "changed_at": now,
    }
    change = update(jobs).where(jobs.c.job_id == row.job_id, jobs.c.lease_token == row.lease_token)
    if connection.execute(change.values(values)).rowcount != 1:
        return None
    record_event(connection, now, row.study_instance_uid, state, None, job_id=row.job_id)
    taken = connection.execute(select(jobs).where(jobs.c.job_id == row.job_id)).one()
    return Lease(job=job_of_row(taken), owner=owner, token=token, until=until)


def _is_current(connection: Connection, row: Row[Any], now: datetime) -> bool:
    """Say whether the job's revision is complete and the newest; end a job that was replaced."""
    query = select(studies).where(studies.c.study_instance_uid == row.study_instance_uid)
    study = connection.execute(query).one()
    if study.revision > row.revision:
        state, reason = JobState.NOT_APPLICABLE, Reason.LATE_INSTANCE
        move(connection, row, now, state=state, reason=reason, detail="a newer revision replaces it")
        return False
    return bool(study.state == StudyState.COMPLETE)


def losses(connection: Connection, row: Row[Any]) -> int:
    """Return how many workers a job has cost, one just now: reading in all, delivering in a row."""
    if row.state == JobState.RUNNING:
        return int(row.attempts)
    query = (
        select(events.c.state, events.c.reason)
        .where(events.c.study_instance_uid == row.study_instance_uid, events.c.job_id == row.job_id)
        .order_by(events.c.event_id.desc())
    )
    lost = 1
    for event in connection.execute(query):
        if event.state != JobState.DELIVERING or event.reason not in (None, Reason.WORKER_LOST.name):
            break
        lost += event.reason is not None
    return lost


def wait_again(connection: Connection, row: Row[Any], now: datetime, reason: Reason, delay_s: float) -> None:
    """Let a job wait again whose worker was lost, for `delay_s` seconds."""
    due: dict[str, Any] = {"not_before": now + timedelta(seconds=delay_s), "sent_at": None}
    state = JobState.QUEUED if row.state == JobState.RUNNING else JobState.DELIVERING
    move(connection, row, now, state=state, reason=reason, **due)


def move(
    connection: Connection,
    row: Row[Any],
    now: datetime,
    *,
    state: JobState,
    reason: Reason,
    detail: str = "",
    **values: Any,
) -> None:
    """Move a job on whoever holds it; the holder, who may only be slow, must not write any more."""
    change = update(jobs).where(jobs.c.job_id == row.job_id)
    moved = {"state": state, "reason": reason.name, "detail": detail, "changed_at": now}
    connection.execute(change.values({**moved, **free_of_lease(row.lease_token), **values}))
    record_event(connection, now, row.study_instance_uid, state, reason, job_id=row.job_id, detail=detail)


def change_held(connection: Connection, lease: Lease, **values: Any) -> None:
    """Change the row of a job under its lease.

    Raises:
        LeaseError: the job belongs to another worker now; nothing is written.
    """
    check = and_(jobs.c.job_id == lease.job.job_id, jobs.c.lease_token == lease.token)
    if connection.execute(update(jobs).where(check).values(**values)).rowcount != 1:
        raise LeaseError(f"job {lease.job.job_id} belongs to another worker now")


def check_lease(connection: Connection, lease: Lease) -> None:
    """Check within a transaction that the lease still holds.

    Raises:
        LeaseError: the job belongs to another worker now.
    """
    query = select(jobs.c.lease_token).where(jobs.c.job_id == lease.job.job_id).with_for_update()
    if connection.execute(query).scalar_one_or_none() != lease.token:
        raise LeaseError(f"job {lease.job.job_id} belongs to another worker now")


def job_of_row(row: Row[Any]) -> Job:
    return Job(
        job_id=JobId(row.job_id),
        study_instance_uid=StudyInstanceUID(row.study_instance_uid),
        revision=row.revision,
        state=JobState(row.state),
        reason=None if row.reason is None else Reason[row.reason],
        detail=row.detail,
        attempts=row.attempts,
        created_at=row.created_at,
        priority=Priority(row.priority),
        sendings=row.sendings,
    )

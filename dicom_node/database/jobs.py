"""Questions about jobs, and the leases under which workers hold them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select, update

from dicom_node.database.connections import Connections
from dicom_node.database.events import record_event
from dicom_node.database.schema import jobs, studies
from dicom_node.errors import LeaseError, StorageError
from dicom_node.study import Job, JobId, JobState, Lease, Reason, StudyInstanceUID, StudyState

AT_REST = (JobState.HELD, JobState.DONE, JobState.DROPPED, JobState.NOT_APPLICABLE, JobState.FAILED)
"""States in which no worker has anything to do."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep has decided."""

    due: tuple[JobId, ...]
    """Jobs whose message is to be sent."""
    given_up: tuple[JobId, ...]
    """Jobs whose worker was lost once too often."""


class JobRepository:
    """Jobs as rows; the row is the truth."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def get(self, job_id: JobId) -> Job:
        """Return one job.

        Raises:
            StorageError: it is not known here.
        """
        with self._connections.reading() as connection:
            row = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).one_or_none()
        if row is None:
            raise StorageError(f"job {job_id} is not known here")
        return _job(row)

    def of_study(self, study_instance_uid: str) -> list[Job]:
        """Return the jobs of a study, one per revision, oldest first."""
        query = select(jobs).where(jobs.c.study_instance_uid == study_instance_uid).order_by(jobs.c.revision)
        with self._connections.reading() as connection:
            return [_job(row) for row in connection.execute(query)]

    def all(self) -> list[Job]:
        """Return every job, oldest first."""
        with self._connections.reading() as connection:
            return [_job(row) for row in connection.execute(select(jobs).order_by(jobs.c.job_id))]

    def claim(self, job_id: JobId, owner: str, lease_s: float) -> Lease | None:
        """Take a job for `lease_s` seconds; None if it is over, held, not due, or its study is open again.

        A queued job becomes RUNNING; one that is DELIVERING stays so. Counts an attempt. A RUNNING job whose
        lease has ended is for the sweep to queue again, which counts how often workers were lost.
        """
        now = self._connections.now()
        with self._connections.writing() as connection:
            row = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).one_or_none()
            if row is None or not _is_claimable(row, now):
                return None
            if row.state == JobState.QUEUED and not self._is_current(connection, row, now):
                return None
            state = JobState.RUNNING if row.state == JobState.QUEUED else JobState(row.state)
            token, until = row.lease_token + 1, now + timedelta(seconds=lease_s)
            change = (
                update(jobs)
                .where(jobs.c.job_id == job_id, jobs.c.lease_token == row.lease_token)
                .values(
                    state=state,
                    attempts=row.attempts + 1,
                    lease_owner=owner,
                    lease_token=token,
                    lease_until=until,
                    changed_at=now,
                )
            )
            if connection.execute(change).rowcount != 1:
                return None
            record_event(connection, now, row.study_instance_uid, state, None, job_id=job_id)
            claimed = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).one()
        return Lease(job=_job(claimed), owner=owner, token=token, until=until)

    def _is_current(self, connection: Connection, row: Row[Any], now: datetime) -> bool:
        """Say whether the job's revision is complete and the newest; end a job that was replaced."""
        query = select(studies).where(studies.c.study_instance_uid == row.study_instance_uid)
        study = connection.execute(query).one()
        if study.revision > row.revision:
            detail = "a newer revision replaces it"
            _end(
                connection,
                row,
                now,
                state=JobState.NOT_APPLICABLE,
                reason=Reason.LATE_INSTANCE,
                detail=detail,
            )
            return False
        return bool(study.state == StudyState.COMPLETE)

    def renew(self, lease: Lease, lease_s: float) -> Lease:
        """Hold a job for `lease_s` more seconds from now.

        Raises:
            LeaseError: it belongs to somebody else now.
        """
        until = self._connections.now() + timedelta(seconds=lease_s)
        with self._connections.writing() as connection:
            _change(connection, lease, lease_until=until)
        return Lease(job=lease.job, owner=lease.owner, token=lease.token, until=until)

    def mark(self, lease: Lease, state: JobState, reason: Reason | None = None, detail: str = "") -> None:
        """Move a job on; one in which nothing is to do gives the lease back.

        Raises:
            LeaseError: it belongs to somebody else now; nothing is written.
        """
        now = self._connections.now()
        values: dict[str, Any] = {"state": state, "detail": detail, "changed_at": now}
        values["reason"] = None if reason is None else reason.name
        if state in AT_REST:
            values |= {"lease_owner": None, "lease_until": None, "lease_token": lease.token + 1}
        with self._connections.writing() as connection:
            _change(connection, lease, **values)
            job, uid = lease.job.job_id, lease.job.study_instance_uid
            record_event(connection, now, uid, state, reason, job_id=job, detail=detail)

    def retry_later(self, lease: Lease, state: JobState, reason: Reason, detail: str, delay_s: float) -> None:
        """Give a job back, to be taken again after `delay_s` seconds, as `QUEUED` or `DELIVERING`.

        Raises:
            LeaseError: it belongs to somebody else now; nothing is written.
        """
        now = self._connections.now()
        with self._connections.writing() as connection:
            _change(
                connection,
                lease,
                state=state,
                reason=reason.name,
                detail=detail,
                changed_at=now,
                not_before=now + timedelta(seconds=delay_s),
                sent_at=None,
                lease_owner=None,
                lease_until=None,
                lease_token=lease.token + 1,
            )
            job, uid = lease.job.job_id, lease.job.study_instance_uid
            record_event(connection, now, uid, state, reason, job_id=job, detail=detail)

    def sent(self, job_id: JobId) -> None:
        """Note that a message for this job is on its way."""
        with self._connections.writing() as connection:
            change = update(jobs).where(jobs.c.job_id == job_id).values(sent_at=self._connections.now())
            connection.execute(change)

    def sweep(self, max_attempts: int, resend_after_s: float) -> Swept:
        """Find what nobody works on: lost workers, lost messages, retries that are due.

        A RUNNING job whose lease has ended is queued again, or fails with WORKER_LOST after `max_attempts`.
        """
        now = self._connections.now()
        given_up: list[JobId] = []
        with self._connections.writing() as connection:
            lost = connection.execute(
                select(jobs).where(jobs.c.state == JobState.RUNNING, jobs.c.lease_until < now)
            ).all()
            for row in lost:
                if row.attempts < max_attempts:
                    _requeue(connection, row, now)
                else:
                    detail = f"{row.attempts} attempts"
                    reason = Reason.WORKER_LOST
                    _end(connection, row, now, state=JobState.FAILED, reason=reason, detail=detail)
                    given_up.append(JobId(row.job_id))
            due = connection.execute(_due(now, now - timedelta(seconds=resend_after_s))).scalars()
            return Swept(tuple(JobId(job_id) for job_id in due), tuple(given_up))


def _is_claimable(row: Row[Any], now: datetime) -> bool:
    is_held = row.lease_until is not None and row.lease_until >= now
    return row.state in (JobState.QUEUED, JobState.DELIVERING) and row.not_before <= now and not is_held


def _due(now: datetime, sent_before: datetime) -> Any:
    """Select jobs that are waiting, free and due, and have no recent message."""
    return (
        select(jobs.c.job_id)
        .join(studies, studies.c.study_instance_uid == jobs.c.study_instance_uid)
        .where(
            or_(
                and_(jobs.c.state == JobState.QUEUED, studies.c.state == StudyState.COMPLETE),
                jobs.c.state == JobState.DELIVERING,
            ),
            jobs.c.not_before <= now,
            or_(jobs.c.lease_until.is_(None), jobs.c.lease_until < now),
            or_(jobs.c.sent_at.is_(None), jobs.c.sent_at < sent_before),
        )
        .order_by(jobs.c.job_id)
    )


def _requeue(connection: Connection, row: Row[Any], now: datetime) -> None:
    # The token grows here too: the lost worker may only be slow, and must not write any more.
    change = (
        update(jobs)
        .where(jobs.c.job_id == row.job_id, jobs.c.lease_token == row.lease_token)
        .values(
            state=JobState.QUEUED,
            reason=Reason.WORKER_LOST.name,
            lease_owner=None,
            lease_until=None,
            lease_token=row.lease_token + 1,
            sent_at=None,
            changed_at=now,
        )
    )
    connection.execute(change)
    uid = row.study_instance_uid
    record_event(connection, now, uid, JobState.QUEUED, Reason.WORKER_LOST, job_id=row.job_id)


def _end(
    connection: Connection, row: Row[Any], now: datetime, *, state: JobState, reason: Reason, detail: str
) -> None:
    change = (
        update(jobs)
        .where(jobs.c.job_id == row.job_id)
        .values(
            state=state,
            reason=reason.name,
            detail=detail,
            lease_owner=None,
            lease_until=None,
            lease_token=row.lease_token + 1,
            changed_at=now,
        )
    )
    connection.execute(change)
    record_event(connection, now, row.study_instance_uid, state, reason, job_id=row.job_id, detail=detail)


def _change(connection: Connection, lease: Lease, **values: Any) -> None:
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


def _job(row: Row[Any]) -> Job:
    return Job(
        job_id=JobId(row.job_id),
        study_instance_uid=StudyInstanceUID(row.study_instance_uid),
        revision=row.revision,
        state=JobState(row.state),
        reason=None if row.reason is None else Reason[row.reason],
        detail=row.detail,
        attempts=row.attempts,
        created_at=row.created_at,
    )

"""Questions about jobs, and the leases under which workers hold them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, select, update

from dicom_node.database.connections import Connections
from dicom_node.database.events import record_event
from dicom_node.database.leases import (
    AT_REST,
    change_held,
    free_of_lease,
    job_of_row,
    losses,
    move,
    take,
    wait_again,
    waiting,
)
from dicom_node.database.schema import jobs
from dicom_node.errors import StorageError
from dicom_node.study import Job, JobId, JobState, Lease, Priority, Reason, Stage
from dicom_node.urgency import overdue_at


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
        return job_of_row(row)

    def of_study(self, study_instance_uid: str) -> list[Job]:
        """Return the jobs of a study, one per revision, oldest first."""
        query = select(jobs).where(jobs.c.study_instance_uid == study_instance_uid).order_by(jobs.c.revision)
        with self._connections.reading() as connection:
            return [job_of_row(row) for row in connection.execute(query)]

    def all(self) -> list[Job]:
        """Return every job, oldest first."""
        with self._connections.reading() as connection:
            return [job_of_row(row) for row in connection.execute(select(jobs).order_by(jobs.c.job_id))]

    def waiting(self, stage: Stage) -> list[JobId]:
        """Return the jobs that wait for a worker, the most urgent first."""
        return self._ids(waiting(stage, self._connections.now()))

    def outbox(self, stage: Stage) -> list[JobId]:
        """Return the jobs that wait for a worker, those first of which no message was ever sent."""
        query = waiting(stage, self._connections.now()).order_by(None)
        order = (jobs.c.sent_at.is_not(None), jobs.c.sent_at, jobs.c.overdue_at, jobs.c.job_id)
        return self._ids(query.order_by(*order))

    def _ids(self, query: Select[Any]) -> list[JobId]:
        with self._connections.reading() as connection:
            found = connection.execute(query.with_only_columns(jobs.c.job_id)).scalars()
            return [JobId(job_id) for job_id in found]

    def claim(self, job_id: JobId, owner: str, lease_s: float) -> Lease | None:
        """Take a job for `lease_s` seconds; None if it is over, held, not due, or its study is open again.

        A queued job becomes RUNNING; one that is DELIVERING stays so. Counts an attempt. A job whose lease
        has ended is for the sweep to let wait again, which counts how often workers were lost.
        """
        now = self._connections.now()
        until = now + timedelta(seconds=lease_s)
        with self._connections.writing() as connection:
            for stage in Stage:
                query = waiting(stage, now).where(jobs.c.job_id == job_id)
                row = connection.execute(query).one_or_none()
                if row is not None:
                    return take(connection, row, owner, now, until)
        return None

    def claim_next(self, stage: Stage, owner: str, lease_s: float) -> Lease | None:
        """Take the most urgent job that waits for a stage, like `claim`; None if none waits."""
        now = self._connections.now()
        until = now + timedelta(seconds=lease_s)
        with self._connections.writing() as connection:
            # Each that is not to be had after all has been ended, and is not found again.
            while (row := connection.execute(waiting(stage, now).limit(1)).one_or_none()) is not None:
                lease = take(connection, row, owner, now, until)
                if lease is not None:
                    return lease
        return None

    def renew(self, lease: Lease, lease_s: float) -> Lease:
        """Hold a job for `lease_s` more seconds from now.

        Raises:
            LeaseError: it belongs to somebody else now.
        """
        until = self._connections.now() + timedelta(seconds=lease_s)
        with self._connections.writing() as connection:
            change_held(connection, lease, lease_until=until)
        return Lease(job=lease.job, owner=lease.owner, token=lease.token, until=until)

    def mark(self, lease: Lease, state: JobState, reason: Reason | None = None, detail: str = "") -> None:
        """Move a job on; one in which nothing is to do gives the lease back.

        Raises:
            LeaseError: it belongs to somebody else now; nothing is written.
        """
        values = free_of_lease(lease.token) if state in AT_REST else {}
        self._move(lease, state, reason, detail, values)

    def hand_over(self, lease: Lease) -> None:
        """Give a job whose results are stored to those who deliver.

        Raises:
            LeaseError: it belongs to somebody else now; nothing is written.
        """
        values = {"not_before": self._connections.now(), "sent_at": None, **free_of_lease(lease.token)}
        self._move(lease, JobState.DELIVERING, None, "", values)

    def retry_later(
        self,
        lease: Lease,
        state: JobState,
        reason: Reason,
        detail: str,
        delay_s: float,
        *,
        is_counted: bool = True,
    ) -> None:
        """Give a job back, to be taken again after `delay_s` seconds, as `QUEUED` or `DELIVERING`.

        A reading that the job is not to blame for is not counted.

        Raises:
            LeaseError: it belongs to somebody else now; nothing is written.
        """
        values: dict[str, Any] = {
            "not_before": self._connections.now() + timedelta(seconds=delay_s),
            "sent_at": None,
            **free_of_lease(lease.token),
        }
        if not is_counted and state is JobState.QUEUED:
            values["attempts"] = lease.job.attempts - 1
        self._move(lease, state, reason, detail, values)

    def _move(
        self, lease: Lease, state: JobState, reason: Reason | None, detail: str, values: dict[str, Any]
    ) -> None:
        now = self._connections.now()
        name = None if reason is None else reason.name
        with self._connections.writing() as connection:
            change_held(connection, lease, state=state, reason=name, detail=detail, changed_at=now, **values)
            job, uid = lease.job.job_id, lease.job.study_instance_uid
            record_event(connection, now, uid, state, reason, job_id=job, detail=detail)

    def prioritize(self, job_id: JobId, priority: Priority, decided_by: str) -> bool:
        """Make a job more or less urgent, by whose decision the history says; False if it is so already.

        Raises:
            StorageError: it is not known here.
        """
        now = self._connections.now()
        with self._connections.writing() as connection:
            row = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).one_or_none()
            if row is None:
                raise StorageError(f"job {job_id} is not known here")
            if row.priority == priority:
                return False
            change = update(jobs).where(jobs.c.job_id == job_id)
            by = overdue_at(row.created_at, priority)
            connection.execute(change.values(priority=priority, overdue_at=by))
            uid, reason, detail = row.study_instance_uid, Reason.PRIORITIZED, f"{priority} by {decided_by}"
            record_event(connection, now, uid, row.state, reason, job_id=job_id, detail=detail)
        return True

    def sent(self, job_ids: Sequence[JobId]) -> None:
        """Note that messages for these jobs are on their way."""
        if not job_ids:
            return
        with self._connections.writing() as connection:
            change = update(jobs).where(jobs.c.job_id.in_(job_ids))
            connection.execute(change.values(sent_at=self._connections.now()))

    def sweep(self, max_attempts: int, time_limit_s: float, delays_s: Sequence[float] = ()) -> list[JobId]:
        """Let wait again what lost workers had, each loss for longer; return what is given up instead.

        A job whose lease has ended lost its worker: with TIMEOUT if the worker read it for `time_limit_s` and
        was stopped for that, else with WORKER_LOST. After `max_attempts` readings it fails, and after so many
        workers in a row that were lost at its delivery: whatever it is that ends them.
        """
        now = self._connections.now()
        held = jobs.c.state.in_((JobState.RUNNING, JobState.DELIVERING))
        lost = select(jobs).where(held, jobs.c.lease_until < now)
        with self._connections.reading() as connection:
            if connection.execute(lost.limit(1)).first() is None:
                return []
        given_up: list[JobId] = []
        with self._connections.writing() as connection:
            for row in connection.execute(lost).all():
                held_s = (row.lease_until - row.changed_at).total_seconds()
                is_late = row.state == JobState.RUNNING and held_s > time_limit_s
                reason = Reason.TIMEOUT if is_late else Reason.WORKER_LOST
                times = losses(connection, row)
                if times < max_attempts:
                    wait_again(connection, row, now, reason, delay_after(times, delays_s))
                else:
                    move(
                        connection, row, now, state=JobState.FAILED, reason=reason, detail=f"{times} attempts"
                    )
                    given_up.append(JobId(row.job_id))
        return given_up


def delay_after(attempt: int, delays_s: Sequence[float]) -> float:
    """Return the seconds to wait after attempt `attempt` (from 1); the last delay stands for all further."""
    return delays_s[min(attempt, len(delays_s)) - 1] if delays_s else 0.0

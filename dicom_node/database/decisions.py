"""Questions about results that the publication gate holds, and what people decided about them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, select, update

from dicom_node.database.connections import Connections
from dicom_node.database.events import record_event
from dicom_node.database.schema import decisions, deliveries, holds, jobs
from dicom_node.errors import DecisionError
from dicom_node.study import Decision, DecisionKind, DeliveryState, Hold, JobId, JobState, OnHold, Reason

_ON_HOLDS = (DecisionKind.RELEASED, DecisionKind.DROPPED)
_OUTCOMES: dict[OnHold, tuple[JobState, Reason]] = {
    DecisionKind.RELEASED: (JobState.DELIVERING, Reason.RELEASED),
    DecisionKind.DROPPED: (JobState.DROPPED, Reason.DROPPED),
}
"""What becomes of the job."""


class DecisionRepository:
    """Holds and decisions as rows; a decision is added, never changed."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def hold_of(self, job_id: JobId) -> Hold | None:
        """Return the hold on a job's results with what was decided; None if the gate let them out."""
        query = select(holds).where(holds.c.job_id == job_id)
        with self._connections.reading() as connection:
            row = connection.execute(query).one_or_none()
            return None if row is None else _hold(row, _decision_on(connection, job_id))

    def holds(self) -> list[Hold]:
        """Return every hold there ever was, oldest first."""
        with self._connections.reading() as connection:
            rows = connection.execute(select(holds).order_by(holds.c.at, holds.c.job_id)).all()
            return [_hold(row, _decision_on(connection, JobId(row.job_id))) for row in rows]

    def withheld_jobs(self, study_instance_uid: str) -> set[JobId]:
        """Return the jobs of a study whose results nobody has: they are held or were dropped."""
        released = and_(decisions.c.job_id == holds.c.job_id, decisions.c.kind == DecisionKind.RELEASED)
        query = (
            select(holds.c.job_id)
            .join(jobs, jobs.c.job_id == holds.c.job_id)
            .outerjoin(decisions, released)
            .where(jobs.c.study_instance_uid == study_instance_uid, decisions.c.decision_id.is_(None))
        )
        with self._connections.reading() as connection:
            return {JobId(job_id) for job_id in connection.execute(query).scalars()}

    def of_job(self, job_id: JobId) -> list[Decision]:
        """Return what people decided about a job, oldest first."""
        query = select(decisions).where(decisions.c.job_id == job_id).order_by(decisions.c.decision_id)
        with self._connections.reading() as connection:
            return [decision_of_row(row) for row in connection.execute(query)]

    def last_at(self, job_id: JobId) -> datetime | None:
        """Return when somebody last decided about a job's results; None if nobody had to."""
        query = select(func.max(decisions.c.at)).where(decisions.c.job_id == job_id)
        with self._connections.reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def decide(self, job_id: JobId, kind: OnHold, *, decided_by: str, why: str) -> bool:
        """Release or drop what is held; False if that was decided before: nothing changes then.

        Released results are delivered by the next worker; dropped ones never. A worker that has the job
        loses it.

        Raises:
            DecisionError: nothing is held there, it was decided otherwise, or the job is cancelled.
        """
        now = self._connections.now()
        with self._connections.writing() as connection:
            job = connection.execute(select(jobs).where(jobs.c.job_id == job_id).with_for_update()).first()
            if job is None or not connection.execute(select(holds).where(holds.c.job_id == job_id)).first():
                raise DecisionError(f"no results of job {job_id} are held")
            before = _decision_on(connection, job_id)
            if before is not None and before.kind is not kind:
                raise DecisionError(f"the results of job {job_id} were {before.kind} by {before.decided_by}")
            if before is not None:
                return False
            if kind is DecisionKind.RELEASED and job.state == JobState.CANCELLED:
                raise DecisionError(f"job {job_id} was cancelled: replay it first")
            record_decision(connection, Decision(job_id, kind, now, decided_by, why))
            _move(connection, job, kind, now)
        return True


def hold(connection: Connection, job_id: JobId, faults: Sequence[str], at: datetime) -> None:
    """Hold the results of a job within the transaction that keeps them."""
    connection.execute(insert(holds), {"job_id": job_id, "at": at, "faults": "\n".join(faults)})


def record_decision(connection: Connection, decision: Decision) -> int:
    """Add a decision within a transaction; return its number."""
    names = ("job_id", "kind", "at", "decided_by", "why")
    added = connection.execute(insert(decisions).values({name: getattr(decision, name) for name in names}))
    (decision_id,) = added.inserted_primary_key or (0,)
    return int(decision_id)


def _move(connection: Connection, job: Row[Any], kind: OnHold, now: datetime) -> None:
    state, reason = _OUTCOMES[kind]
    change = update(jobs).where(jobs.c.job_id == job.job_id)
    connection.execute(
        change.values(
            state=state,
            reason=reason.name,
            detail="",
            not_before=now,
            sent_at=None,
            changed_at=now,
            lease_owner=None,
            lease_until=None,
            lease_token=job.lease_token + 1,
        )
    )
    if kind is DecisionKind.DROPPED:
        connection.execute(
            update(deliveries)
            .where(deliveries.c.job_id == job.job_id, deliveries.c.state == DeliveryState.PENDING)
            .values(state=DeliveryState.CANCELLED)
        )
    record_event(connection, now, job.study_instance_uid, state, reason, job_id=job.job_id)


def _decision_on(connection: Connection, job_id: JobId) -> Decision | None:
    """Return how a hold was decided."""
    query = select(decisions).where(decisions.c.job_id == job_id, decisions.c.kind.in_(_ON_HOLDS))
    row = connection.execute(query).first()
    if row is None:
        return None
    return decision_of_row(row)


def decision_of_row(row: Row[Any]) -> Decision:
    return Decision(JobId(row.job_id), DecisionKind(row.kind), row.at, row.decided_by, row.why)


def _hold(row: Row[Any], decision: Decision | None) -> Hold:
    return Hold(JobId(row.job_id), row.at, tuple(row.faults.splitlines()), decision)

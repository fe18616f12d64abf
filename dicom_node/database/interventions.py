"""What people do to jobs: cancel them, or have a dead letter tried again."""

from typing import Any

from sqlalchemy import Connection, Row, select, update

from dicom_node.database.connections import Connections
from dicom_node.database.decisions import record_decision
from dicom_node.database.leases import move
from dicom_node.database.schema import deliveries, jobs, results, studies, withdrawals
from dicom_node.errors import DecisionError
from dicom_node.study import Decision, DecisionKind, DeliveryState, JobId, JobState, Reason, StudyState

CANCELLABLE = (JobState.QUEUED, JobState.RUNNING, JobState.DELIVERING)
REPLAYABLE = (JobState.FAILED, JobState.CANCELLED)


class InterventionRepository:
    """Each is written down as a decision, with who and why."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def cancel(self, job_id: JobId, *, decided_by: str, why: str) -> bool:
        """End a job: what is not sent yet never is; False if it was cancelled before.

        A worker that has the job loses it: nothing that it makes is kept or sent any more, but for an object
        that is on its way.

        Raises:
            DecisionError: there is no such job, it is over, or its results are held.
        """
        with self._connections.writing() as connection:
            row = _job(connection, job_id)
            if row.state == JobState.CANCELLED:
                return False
            if row.state not in CANCELLABLE:
                raise DecisionError(f"job {job_id} cannot be cancelled: it is {row.state}")
            self._decide(connection, job_id, DecisionKind.CANCELLED, decided_by, why)
            now = self._connections.now()
            move(connection, row, now, state=JobState.CANCELLED, reason=Reason.CANCELLED)
            _change_deliveries(connection, job_id, DeliveryState.PENDING, DeliveryState.CANCELLED)
        return True

    def replay(self, job_id: JobId, *, decided_by: str, why: str) -> None:
        """Have a failed or cancelled job tried again, with all its attempts.

        Results that it has are not made again: what no destination has accepted is sent, as it was stored.

        Raises:
            DecisionError: there is no such job, it is neither failed nor cancelled, or its study was removed.
        """
        with self._connections.writing() as connection:
            row = _job(connection, job_id)
            if row.state not in REPLAYABLE:
                raise DecisionError(f"job {job_id} cannot be replayed: it is {row.state}")
            its_study = select(studies.c.state).where(studies.c.study_instance_uid == row.study_instance_uid)
            if connection.execute(its_study).scalar_one() == StudyState.REMOVED:
                raise DecisionError(
                    f"job {job_id} cannot be replayed: its images were removed; send them again"
                )
            self._decide(connection, job_id, DecisionKind.REPLAYED, decided_by, why)
            has_results = select(results.c.sop_instance_uid).where(results.c.job_id == job_id)
            is_read = connection.execute(has_results).first() is not None
            now = self._connections.now()
            fresh: dict[str, Any] = {"attempts": 0, "sendings": 0, "not_before": now, "sent_at": None}
            state = JobState.DELIVERING if is_read else JobState.QUEUED
            move(connection, row, now, state=state, reason=Reason.REPLAYED, **fresh)
            given_up = DeliveryState.CANCELLED if row.state == JobState.CANCELLED else DeliveryState.REFUSED
            _change_deliveries(connection, job_id, given_up, DeliveryState.PENDING)

    def _decide(
        self, connection: Connection, job_id: JobId, kind: DecisionKind, decided_by: str, why: str
    ) -> None:
        record_decision(connection, Decision(job_id, kind, self._connections.now(), decided_by, why))


def _job(connection: Connection, job_id: JobId) -> Row[Any]:
    row = connection.execute(select(jobs).where(jobs.c.job_id == job_id).with_for_update()).one_or_none()
    if row is None:
        raise DecisionError(f"job {job_id} is not known here")
    return row


def _change_deliveries(
    connection: Connection, job_id: JobId, before: DeliveryState, after: DeliveryState
) -> None:
    change = update(deliveries).where(
        deliveries.c.job_id == job_id,
        deliveries.c.state == before,
        deliveries.c.sop_instance_uid.not_in(select(withdrawals.c.sop_instance_uid)),
    )
    connection.execute(change.values(state=after))

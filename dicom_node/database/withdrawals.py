"""Questions about results that a person took back, and the one transaction that takes them back."""

from collections.abc import Sequence, Set
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, update

from dicom_node.database.connections import Connections
from dicom_node.database.decisions import decision_of_row, record_decision
from dicom_node.database.deliveries import plan_deliveries
from dicom_node.database.events import record_event
from dicom_node.database.results import row_of_result
from dicom_node.database.schema import decisions, deliveries, jobs, results, withdrawals
from dicom_node.errors import DecisionError
from dicom_node.study import (
    Decision,
    DecisionKind,
    DeliveryState,
    JobId,
    JobState,
    Reason,
    SOPInstanceUID,
    StoredResult,
    Withdrawal,
)

_SENT = (JobState.DELIVERING, JobState.DONE, JobState.FAILED, JobState.CANCELLED)
"""States of a job whose results may have reached somebody, or may still."""


class WithdrawalRepository:
    """Withdrawals as rows; nothing that was withdrawn comes back."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def withdrawn(self, job_id: JobId) -> set[SOPInstanceUID]:
        """Return the results of a job that were withdrawn."""
        query = (
            select(withdrawals.c.sop_instance_uid)
            .join(results, results.c.sop_instance_uid == withdrawals.c.sop_instance_uid)
            .where(results.c.job_id == job_id)
        )
        with self._connections.reading() as connection:
            return {SOPInstanceUID(uid) for uid in connection.execute(query).scalars()}

    def notes(self, job_id: JobId) -> set[SOPInstanceUID]:
        """Return the rejection notes among the results of a job."""
        query = (
            select(withdrawals.c.note_uid)
            .join(decisions, decisions.c.decision_id == withdrawals.c.decision_id)
            .where(decisions.c.job_id == job_id, withdrawals.c.note_uid.is_not(None))
        )
        with self._connections.reading() as connection:
            return {SOPInstanceUID(uid) for uid in connection.execute(query).scalars()}

    def all(self) -> list[Withdrawal]:
        """Return every withdrawal, oldest first."""
        query = select(decisions).where(decisions.c.kind == DecisionKind.WITHDRAWN)
        with self._connections.reading() as connection:
            rows = connection.execute(query.order_by(decisions.c.decision_id)).all()
            return [_withdrawal(connection, row) for row in rows]

    def is_whole(self, job_id: JobId) -> bool:
        """Say whether everything that a job had to say was withdrawn."""
        query = select(results.c.sop_instance_uid).where(results.c.job_id == job_id)
        with self._connections.reading() as connection:
            said = {SOPInstanceUID(uid) for uid in connection.execute(query).scalars()} - self.notes(job_id)
        return bool(said) and said == self.withdrawn(job_id)

    def withdraw(self, decision: Decision, uids: Sequence[SOPInstanceUID], note: StoredResult) -> bool:
        """Take results of one job back: what was not sent stays, the note goes to whoever may have them.

        Returns whether anybody may have one: a destination accepted it, or its answer was lost. Else the
        note, which lies on stable storage already, is not needed and no row points to it. Its ordinal is
        given here.

        Raises:
            DecisionError: the job's results were not sent, a worker is sending them now, or one was withdrawn
                before; nothing is written.
        """
        with self._connections.writing() as connection:
            query = select(jobs).where(jobs.c.job_id == decision.job_id).with_for_update()
            job = connection.execute(query).one()
            _check(connection, job, uids, decision.at)
            holders = _holders(connection, uids, is_interrupted=job.lease_until is not None)
            number = record_decision(connection, decision)
            if holders:
                _add_note(connection, note, holders)
            note_uid = note.sop_instance_uid if holders else None
            rows = [{"sop_instance_uid": uid, "decision_id": number, "note_uid": note_uid} for uid in uids]
            connection.execute(insert(withdrawals), rows)
            _cancel(connection, uids)
            _send_again(connection, job, decision.at)
        return bool(holders)


def _check(connection: Connection, job: Row[Any], uids: Sequence[str], now: datetime) -> None:
    if job.state not in _SENT:
        raise DecisionError(f"the results of job {job.job_id} were not sent: it is {job.state}")
    if job.lease_until is not None and job.lease_until >= now:
        raise DecisionError(f"a worker is sending the results of job {job.job_id}: try again in a moment")
    before = select(withdrawals.c.sop_instance_uid).where(withdrawals.c.sop_instance_uid.in_(uids))
    if connection.execute(before).first() is not None:
        raise DecisionError("one of these results was withdrawn before")


def _holders(connection: Connection, uids: Sequence[str], *, is_interrupted: bool) -> set[str]:
    """Name the destinations that have one of some results, or may have it.

    Of a worker that was lost while it sent nobody knows how far it came.
    """
    unanswered = deliveries.c.state == DeliveryState.PENDING
    if not is_interrupted:
        unanswered = and_(unanswered, deliveries.c.attempts > 0)
    query = select(deliveries.c.destination).where(
        deliveries.c.sop_instance_uid.in_(uids),
        or_(deliveries.c.state == DeliveryState.DELIVERED, unanswered),
    )
    return set(connection.execute(query).scalars())


def _add_note(connection: Connection, note: StoredResult, to: Set[str]) -> None:
    last = connection.execute(
        select(func.max(results.c.ordinal)).where(results.c.job_id == note.job_id)
    ).scalar_one()
    connection.execute(insert(results), {**row_of_result(note), "ordinal": last + 1})
    plan_deliveries(connection, note.job_id, {name: {note.sop_instance_uid} for name in to})


def _cancel(connection: Connection, uids: Sequence[str]) -> None:
    """What has not been accepted is never sent; a refusal of it no longer counts."""
    connection.execute(
        update(deliveries)
        .where(deliveries.c.sop_instance_uid.in_(uids), deliveries.c.state != DeliveryState.DELIVERED)
        .values(state=DeliveryState.CANCELLED)
    )


def _send_again(connection: Connection, job: Row[Any], now: datetime) -> None:
    connection.execute(
        update(jobs)
        .where(jobs.c.job_id == job.job_id)
        .values(
            state=JobState.DELIVERING,
            reason=Reason.WITHDRAWN.name,
            detail="",
            not_before=now,
            sent_at=None,
            changed_at=now,
            lease_owner=None,
            lease_until=None,
            lease_token=job.lease_token + 1,
        )
    )
    uid = job.study_instance_uid
    record_event(connection, now, uid, JobState.DELIVERING, Reason.WITHDRAWN, job_id=job.job_id)


def _withdrawal(connection: Connection, row: Row[Any]) -> Withdrawal:
    query = select(withdrawals).where(withdrawals.c.decision_id == row.decision_id)
    taken = connection.execute(query.order_by(withdrawals.c.sop_instance_uid)).all()
    note = next((each.note_uid for each in taken if each.note_uid is not None), None)
    uids = tuple(SOPInstanceUID(each.sop_instance_uid) for each in taken)
    return Withdrawal(decision_of_row(row), uids, None if note is None else SOPInstanceUID(note))

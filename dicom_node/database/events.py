"""What happened to studies and jobs, in order: the history behind each state."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, insert, select

from dicom_node.database.connections import Connections
from dicom_node.database.schema import events, jobs
from dicom_node.study import JobId, Reason, StudyInstanceUID


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    at: datetime
    study_instance_uid: StudyInstanceUID
    job_id: JobId | None
    state: str
    """The state of study or job after it."""
    reason: Reason | None
    detail: str


def record_event(
    connection: Connection,
    at: datetime,
    study_instance_uid: str,
    state: str,
    reason: Reason | None,
    *,
    job_id: int | None = None,
    detail: str = "",
) -> None:
    """Write an event within the transaction that makes it true."""
    connection.execute(
        insert(events),
        {
            "at": at,
            "study_instance_uid": study_instance_uid,
            "job_id": job_id,
            "state": state,
            "reason": None if reason is None else reason.name,
            "detail": detail,
        },
    )


class EventRepository:
    """Reads the history, and takes notes that change no state."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def note(self, study_instance_uid: str, what: str, detail: str, *, job_id: int | None = None) -> None:
        """Write down what was decided or done, in at most 16 letters and a detail without patient data."""
        with self._connections.writing() as connection:
            at = self._connections.now()
            record_event(connection, at, study_instance_uid, what, None, job_id=job_id, detail=detail)

    def of_study(self, study_instance_uid: StudyInstanceUID) -> list[Event]:
        """Return the history of a study and its jobs, oldest first."""
        query = (
            select(events)
            .where(events.c.study_instance_uid == study_instance_uid)
            .order_by(events.c.event_id)
        )
        with self._connections.reading() as connection:
            return [_event(row) for row in connection.execute(query)]

    def first_at(self, job_id: JobId, state: str) -> datetime | None:
        """Return when a job first came to a state; None if it never did."""
        query = select(func.min(events.c.at)).where(
            events.c.study_instance_uid
            == select(jobs.c.study_instance_uid).where(jobs.c.job_id == job_id).scalar_subquery(),
            events.c.job_id == job_id,
            events.c.state == state,
        )
        with self._connections.reading() as connection:
            return connection.execute(query).scalar_one_or_none()


def _event(row: Row[tuple[object, ...]]) -> Event:
    return Event(
        at=row.at,
        study_instance_uid=StudyInstanceUID(row.study_instance_uid),
        job_id=None if row.job_id is None else JobId(row.job_id),
        state=row.state,
        reason=None if row.reason is None else Reason[row.reason],
        detail=row.detail,
    )

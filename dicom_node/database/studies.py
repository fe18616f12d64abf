"""Questions about studies."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from dicom_node.admission import Patient
from dicom_node.database.connections import Connections
from dicom_node.database.events import record_event
from dicom_node.database.leases import move
from dicom_node.database.schema import instances, jobs, studies
from dicom_node.errors import StorageError
from dicom_node.study import (
    JobId,
    JobState,
    Origin,
    Priority,
    Reason,
    Study,
    StudyInstanceUID,
    StudyState,
)
from dicom_node.urgency import overdue_at


@dataclass(frozen=True, slots=True, repr=False)
class StudyContent:
    """What decides whether two studies are worth comparing."""

    study: Study
    patient: Patient
    body_parts: tuple[str, ...]
    """Body Part Examined of its instances, as received."""
    descriptions: tuple[str, ...]
    """Study and series descriptions."""


class StudyRepository:
    """Studies as rows."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def get(self, study_instance_uid: str) -> Study:
        """Return one study.

        Raises:
            StorageError: it is not known here.
        """
        with self._connections.reading() as connection:
            found = _read(connection, [study_instance_uid])
        if not found:
            raise StorageError("the study is not known here")
        return found[0]

    def all(self) -> list[Study]:
        """Return every study, the one that received something last at the end."""
        with self._connections.reading() as connection:
            return _read(connection, None)

    def receiving(self) -> list[Study]:
        """Return the studies that may become complete."""
        query = select(studies.c.study_instance_uid).where(studies.c.state == StudyState.RECEIVING)
        with self._connections.reading() as connection:
            return _read(connection, connection.execute(query).scalars().all())

    def content(self, study_instance_uid: str) -> StudyContent:
        """Return what a study is about.

        Raises:
            StorageError: it is not known here.
        """
        with self._connections.reading() as connection:
            found = _contents(connection, [study_instance_uid])
        if not found:
            raise StorageError("the study is not known here")
        return found[0]

    def of_patient(self, patient_id: str) -> list[StudyContent]:
        """Return the studies filed under a Patient ID, whoever issued it; none for an empty one."""
        if not patient_id:
            return []
        query = select(studies.c.study_instance_uid).where(studies.c.patient_id == patient_id)
        with self._connections.reading() as connection:
            return _contents(connection, connection.execute(query).scalars().all())

    def keep_open(self, study_instance_uids: Collection[str]) -> None:
        """Write down that more of some studies is on its way just now: they are not quiet."""
        change = (
            update(studies)
            .where(
                studies.c.study_instance_uid.in_(study_instance_uids),
                studies.c.state == StudyState.RECEIVING,
            )
            .values(last_received_at=self._connections.now())
        )
        with self._connections.writing() as connection:
            connection.execute(change)

    def complete(self, study: Study, reason: Reason, priority: Priority = Priority.ROUTINE) -> JobId | None:
        """Close a revision and make its job, in one transaction; there is one job however often this runs.

        Returns None if the study has received something since `study` was read: it is not complete.
        """
        now = self._connections.now()
        uid = study.study_instance_uid
        with self._connections.writing() as connection:
            if not _close(connection, study, StudyState.COMPLETE, reason):
                return None
            record_event(connection, now, uid, StudyState.COMPLETE, reason)
            query = select(jobs.c.job_id).where(
                jobs.c.study_instance_uid == uid, jobs.c.revision == study.revision
            )
            known = connection.execute(query).scalar_one_or_none()
            if known is not None:
                return JobId(known)
            made = insert(jobs).values(
                study_instance_uid=uid,
                revision=study.revision,
                state=JobState.QUEUED,
                priority=priority,
                overdue_at=overdue_at(now, priority),
                not_before=now,
                created_at=now,
                changed_at=now,
            )
            job_id = JobId(connection.execute(made.returning(jobs.c.job_id)).scalar_one())
            record_event(connection, now, uid, JobState.QUEUED, None, job_id=job_id)
            return job_id

    def set_aside(self, study: Study, reason: Reason, detail: str = "") -> bool:
        """Close a revision without a job; False if the study has received something meanwhile.

        A job that it had before something late opened it again, and that nobody has begun, ends with it.
        """
        with self._connections.writing() as connection:
            if not _close(connection, study, StudyState.NOT_APPLICABLE, reason):
                return False
            now = self._connections.now()
            uid, state = study.study_instance_uid, StudyState.NOT_APPLICABLE
            record_event(connection, now, uid, state, reason, detail=detail)
            waiting = select(jobs).where(
                jobs.c.study_instance_uid == uid,
                jobs.c.revision == study.revision,
                jobs.c.state == JobState.QUEUED,
            )
            for row in connection.execute(waiting).all():
                move(connection, row, now, state=JobState.NOT_APPLICABLE, reason=reason, detail=detail)
            return True


def is_job_begun(connection: Connection, study_instance_uid: str, revision: int) -> bool:
    """Say whether the job of a revision was taken up or ended."""
    query = select(jobs.c.job_id).where(
        jobs.c.study_instance_uid == study_instance_uid,
        jobs.c.revision == revision,
        or_(jobs.c.state != JobState.QUEUED, jobs.c.attempts > 0),
    )
    return connection.execute(query).first() is not None


def _close(connection: Connection, study: Study, state: StudyState, reason: Reason) -> bool:
    change = (
        update(studies)
        .where(
            studies.c.study_instance_uid == study.study_instance_uid,
            studies.c.revision == study.revision,
            studies.c.state == StudyState.RECEIVING,
            studies.c.last_received_at == study.last_received_at,
        )
        .values(state=state, reason=reason.name)
    )
    return connection.execute(change).rowcount == 1


def _read(connection: Connection, uids: Collection[str] | None) -> list[Study]:
    query = select(studies).order_by(studies.c.last_received_at)
    if uids is not None:
        query = query.where(studies.c.study_instance_uid.in_(uids))
    rows = connection.execute(query).all()
    counts = _counts(connection, [row.study_instance_uid for row in rows] if uids is not None else None)
    return [_study(row, counts.get(row.study_instance_uid, {})) for row in rows]


def _counts(connection: Connection, uids: Collection[str] | None) -> dict[str, dict[str, int]]:
    """Return instances in use by study and modality."""
    query = (
        select(instances.c.study_instance_uid, instances.c.modality, func.count())
        .where(instances.c.origin != Origin.RESULT, instances.c.quarantined == 0)
        .group_by(instances.c.study_instance_uid, instances.c.modality)
    )
    if uids is not None:
        query = query.where(instances.c.study_instance_uid.in_(uids))
    counts: dict[str, dict[str, int]] = {}
    for uid, modality, count in connection.execute(query):
        counts.setdefault(uid, {})[modality] = count
    return counts


def patient_key(patient: Patient) -> str:
    """Join issuer and Patient ID; empty without a Patient ID."""
    return f"{patient.issuer}\\{patient.patient_id}" if patient.patient_id else ""


def patient_of_row(row: Row[tuple[object, ...]]) -> Patient:
    return Patient(row.patient_id, row.issuer_of_patient_id, row.patient_birth_date, row.patient_sex)


def _study(row: Row[tuple[object, ...]], counts: dict[str, int]) -> Study:
    last_received_at: datetime = row.last_received_at
    return Study(
        study_instance_uid=StudyInstanceUID(row.study_instance_uid),
        revision=row.revision,
        state=StudyState(row.state),
        reason=None if row.reason is None else Reason[row.reason],
        study_date=row.study_date,
        study_time=row.study_time,
        instance_count=sum(counts.values()),
        modalities=tuple(sorted(modality for modality in counts if modality)),
        last_received_at=last_received_at,
        patient_key=patient_key(patient_of_row(row)),
    )


def _contents(connection: Connection, uids: Sequence[str]) -> list[StudyContent]:
    query = (
        select(instances.c.study_instance_uid, instances.c.body_part, instances.c.description)
        .where(instances.c.study_instance_uid.in_(uids), instances.c.origin != Origin.RESULT)
        .distinct()
    )
    words = connection.execute(query).all()
    patients = {
        row.study_instance_uid: patient_of_row(row)
        for row in connection.execute(select(studies).where(studies.c.study_instance_uid.in_(uids)))
    }
    return [
        StudyContent(
            study=study,
            patient=patients[study.study_instance_uid],
            body_parts=_distinct(row.body_part for row in words if row[0] == study.study_instance_uid),
            descriptions=_distinct(row.description for row in words if row[0] == study.study_instance_uid),
        )
        for study in _read(connection, uids)
    ]


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({text for text in texts if text}))

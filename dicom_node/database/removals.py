"""Studies that nobody needs here any more: which ones they are, and the one transaction that forgets one."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, exists, func, insert, select, update

from dicom_node.database.connections import Connections
from dicom_node.database.events import record_event
from dicom_node.database.schema import (
    announced_images,
    commitments,
    compared_instances,
    decisions,
    deliveries,
    doomed_files,
    holds,
    instances,
    jobs,
    notes_to_read,
    orders,
    performed_steps,
    proofs,
    refusals,
    rejected_instances,
    results,
    studies,
    withdrawals,
)
from dicom_node.errors import DecisionError
from dicom_node.study import DeliveryState, JobState, Reason, StudyInstanceUID, StudyState

UNDER_WAY: Final = (JobState.QUEUED, JobState.RUNNING, JobState.DELIVERING)
UNDECIDED: Final = (JobState.HELD, JobState.FAILED)
"""Jobs that wait for a person."""
SETTLED: Final = (StudyState.COMPLETE, StudyState.REFERENCE, StudyState.NOT_APPLICABLE)
REPORT_WITHIN: Final = timedelta(days=7)
"""How long a report about a storage commitment is owed to a peer that does not take it."""
NOBODY: Final = {
    "study_date": "",
    "study_time": "",
    "patient_id": "",
    "issuer_of_patient_id": "",
    "patient_birth_date": "",
    "patient_sex": "",
}


@dataclass(frozen=True, slots=True)
class Removed:
    """What was forgotten with a study."""

    images: int
    results: int


class RemovalRepository:
    """Forgets studies, and remembers their files until these are deleted.

    What is left of a study says, without a patient, that it was here and what was done: its jobs and its
    history. So what comes of it later is a new revision, and no result gets the identifiers of an old one.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def old(self, before: datetime) -> list[StudyInstanceUID]:
        """Return the studies to which nothing has happened since a time, the oldest first."""
        changed = exists().where(
            jobs.c.study_instance_uid == studies.c.study_instance_uid, jobs.c.changed_at >= before
        )
        query = (
            select(studies.c.study_instance_uid)
            .where(studies.c.state != StudyState.REMOVED, studies.c.last_received_at < before, ~changed)
            .order_by(studies.c.last_received_at)
        )
        with self._connections.reading() as connection:
            return [StudyInstanceUID(uid) for uid in connection.execute(query).scalars()]

    def obstacle(self, study_instance_uid: str) -> str:
        """Say why a study is still needed here; empty if it is not.

        Raises:
            DecisionError: it is not known here.
        """
        with self._connections.reading() as connection:
            return _obstacle(connection, _study(connection, study_instance_uid), self._connections.now())

    def forget(self, study_instance_uid: str, why: str, also: Collection[Path] = ()) -> Removed:
        """Forget images, results, patient and order of a study; its files are to be deleted afterwards.

        Args:
            why: for the history, without patient data.
            also: files of the study that the index does not know.

        Raises:
            DecisionError: it is not known here, or something stands in the way; the message says what.
        """
        now = self._connections.now()
        with self._connections.writing() as connection:
            if self._is_sqlite:  # else what was deleted stays readable in free pages
                connection.exec_driver_sql("PRAGMA secure_delete=ON")
            study = _study(connection, study_instance_uid)
            if obstacle := _obstacle(connection, study, now):
                raise DecisionError(f"the study cannot be removed: {obstacle}")
            removed = _forget(connection, study_instance_uid)
            if also:
                connection.execute(insert(doomed_files), [{"path": str(path)} for path in also])
            detail = f"{removed.images} images and {removed.results} results: {why}"
            record_event(
                connection, now, study_instance_uid, StudyState.REMOVED, Reason.REMOVED, detail=detail
            )
        return removed

    def clear_log(self) -> None:
        """Have the log of a SQLite index forget too; where others use it just now, that waits."""
        if self._is_sqlite:
            with self._connections.reading() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    @property
    def _is_sqlite(self) -> bool:
        return self._connections.engine.dialect.name == "sqlite"

    def files(self, most: int) -> list[Path]:
        """Return files of forgotten studies that are not deleted yet."""
        with self._connections.reading() as connection:
            found = connection.execute(select(doomed_files.c.path).limit(most)).scalars()
            return [Path(path) for path in found]

    def deleted(self, paths: Collection[Path]) -> None:
        """Note that files are gone for good."""
        with self._connections.writing() as connection:
            gone = [str(path) for path in paths]
            connection.execute(delete(doomed_files).where(doomed_files.c.path.in_(gone)))


def _study(connection: Connection, uid: str) -> Row[Any]:
    study = connection.execute(select(studies).where(studies.c.study_instance_uid == uid)).one_or_none()
    if study is None:
        raise DecisionError("the study is not known here")
    return study


def _obstacle(connection: Connection, study: Row[Any], now: datetime) -> str:
    uid = study.study_instance_uid
    if study.state not in SETTLED:
        return "it was removed before" if study.state == StudyState.REMOVED else "it is still arriving"
    open_jobs = select(jobs).where(
        jobs.c.study_instance_uid == uid, jobs.c.state.in_((*UNDER_WAY, *UNDECIDED))
    )
    if job := connection.execute(open_jobs).first():
        return f"job {job.job_id} is {job.state}"
    if job := connection.execute(_with_only_copies(uid)).first():
        return f"no destination has a result of job {job.job_id}"
    if count := _count(connection, _undecided(uid)):
        return f"{count} of its objects are in quarantine and wait for a decision"
    if _is_report_owed(connection, uid, now):
        return "the report about a storage commitment is not taken yet"
    reading = (
        select(jobs)
        .join(studies, studies.c.study_instance_uid == jobs.c.study_instance_uid)
        .where(studies.c.patient_id == study.patient_id, jobs.c.state.in_(UNDER_WAY))
    )
    if study.patient_id and (job := connection.execute(reading).first()):
        return f"job {job.job_id} reads another study of the patient"
    return ""


def _with_only_copies(uid: str) -> Select[Any]:
    """Select jobs of which every result is here alone, though nobody decided that it stays here."""
    is_made = exists().where(
        results.c.job_id == jobs.c.job_id,
        results.c.sop_instance_uid.not_in(select(withdrawals.c.sop_instance_uid)),
    )
    is_sent = exists().where(
        deliveries.c.job_id == jobs.c.job_id, deliveries.c.state == DeliveryState.DELIVERED
    )
    return select(jobs).where(
        jobs.c.study_instance_uid == uid, jobs.c.state == JobState.DONE, is_made, ~is_sent
    )


def _undecided(uid: str) -> Select[Any]:
    return select(refusals.c.refusal_id).where(
        refusals.c.study_instance_uid == uid,
        refusals.c.kept_at.is_not(None),
        refusals.c.fate.is_(None),
        refusals.c.reason != Reason.REJECTED.name,  # that was its archive's decision
    )


def _is_report_owed(connection: Connection, uid: str, now: datetime) -> bool:
    owed = select(commitments.c.objects).where(
        commitments.c.reported_at.is_(None), commitments.c.asked_at > now - REPORT_WITHIN
    )
    of_study = select(instances.c.sop_instance_uid).where(instances.c.study_instance_uid == uid)
    asked = {line.split(" ")[1] for text in connection.execute(owed).scalars() for line in text.splitlines()}
    return bool(asked) and not asked.isdisjoint(connection.execute(of_study).scalars())


def _count(connection: Connection, query: Select[Any]) -> int:
    return connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()


def _forget(connection: Connection, uid: str) -> Removed:
    of_study = select(jobs.c.job_id).where(jobs.c.study_instance_uid == uid)
    of_jobs = select(results.c.sop_instance_uid).where(results.c.job_id.in_(of_study))
    images = select(instances.c.path).where(instances.c.study_instance_uid == uid)
    of_images = select(instances.c.sop_instance_uid).where(instances.c.study_instance_uid == uid)
    made = select(results.c.path).where(results.c.job_id.in_(of_study))
    removed = Removed(_count(connection, images), _count(connection, made))
    connection.execute(insert(doomed_files).from_select(["path"], images))
    connection.execute(insert(doomed_files).from_select(["path"], made))
    for gone in (
        delete(withdrawals).where(withdrawals.c.sop_instance_uid.in_(of_jobs)),
        delete(proofs).where(proofs.c.sop_instance_uid.in_(of_jobs)),
        delete(deliveries).where(deliveries.c.job_id.in_(of_study)),
        delete(results).where(results.c.job_id.in_(of_study)),
        delete(holds).where(holds.c.job_id.in_(of_study)),
        delete(compared_instances).where(compared_instances.c.job_id.in_(of_study)),
        # What people wrote may speak of the patient; that somebody decided stays in the history.
        delete(decisions).where(decisions.c.job_id.in_(of_study)),
        update(refusals).where(refusals.c.study_instance_uid == uid).values(why=None),
        delete(notes_to_read).where(notes_to_read.c.sop_instance_uid.in_(of_images)),
        delete(instances).where(instances.c.study_instance_uid == uid),
        delete(rejected_instances).where(rejected_instances.c.study_instance_uid == uid),
        delete(orders).where(orders.c.study_instance_uid == uid),
        delete(announced_images).where(announced_images.c.study_instance_uid == uid),
        delete(performed_steps).where(performed_steps.c.study_instance_uid == uid),
    ):
        connection.execute(gone)
    change = update(studies).where(studies.c.study_instance_uid == uid)
    connection.execute(change.values(state=StudyState.REMOVED, reason=Reason.REMOVED.name, **NOBODY))
    return removed

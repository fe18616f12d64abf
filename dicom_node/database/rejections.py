"""Questions about what archives rejected, and the transactions that take it out of use."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from dicom_node.completion import Standing, on_arrival
from dicom_node.database.connections import Connections
from dicom_node.database.events import record_event
from dicom_node.database.instances import instance_of_row
from dicom_node.database.refusals import out_of_use
from dicom_node.database.schema import (
    compared_instances,
    instances,
    jobs,
    notes_to_read,
    refusals,
    rejected_instances,
    studies,
)
from dicom_node.database.studies import is_job_begun
from dicom_node.rejection_note import RejectionNote, Title
from dicom_node.study import Instance, Job, JobId, Origin, Reason, StudyInstanceUID, StudyState

_IN_USE = (instances.c.quarantined == 0, instances.c.origin != Origin.RESULT)


class RejectionRepository:
    """Rejections as rows; an instance is rejected once and for all, until a person releases it."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def unread_notes(self) -> list[Instance]:
        """Return the key object selections that nobody has looked into yet, oldest first."""
        query = (
            select(instances)
            .join(notes_to_read, notes_to_read.c.sop_instance_uid == instances.c.sop_instance_uid)
            .order_by(instances.c.received_at)
        )
        with self._connections.reading() as connection:
            return [instance_of_row(row) for row in connection.execute(query)]

    def apply(self, note: Instance, rejected: RejectionNote | None) -> int:
        """Take what a note names out of use, and open its study again if it was read; return how many.

        A note has a say in its own study only. None stands for a key object selection that rejects nothing.
        """
        uid, now = note.study_instance_uid, self._connections.now()
        with self._connections.writing() as connection:
            connection.execute(
                delete(notes_to_read).where(notes_to_read.c.sop_instance_uid == note.sop_instance_uid)
            )
            if rejected is None:
                return 0
            query = select(studies).where(studies.c.study_instance_uid == uid).with_for_update()
            study = connection.execute(query).one()
            is_begun = _is_begun(connection, study)
            _reject(connection, note, rejected, told_up_to=study.revision - (not is_begun))
            count = _take_out(connection, uid, now)
            if count:
                detail = f"{count} objects: {rejected.title.meaning}"
                record_event(connection, now, uid, "rejected", None, detail=detail)
            if count and study.state == StudyState.COMPLETE:
                _open_again(connection, study, is_begun=is_begun, now=now)
        return count

    def compare(self, job_id: JobId, images: Mapping[str, str]) -> bool:
        """Write down which images of priors a job is shown, before it reads.

        Return False if one of them is rejected, which is out of use then: priors are to be chosen anew.

        Args:
            images: SOP Instance UID -> Study Instance UID.
        """
        with self._connections.writing() as connection:
            query = select(rejected_instances).where(
                rejected_instances.c.study_instance_uid.in_(set(images.values()))
            )
            pairs = {(row.sop_instance_uid, row.study_instance_uid) for row in connection.execute(query)}
            rejected = {study_uid for _, study_uid in pairs & set(images.items())}
            for uid in rejected:
                _take_out(connection, uid, self._connections.now())
            if rejected:
                return False
            known = set(
                connection.execute(
                    select(compared_instances.c.sop_instance_uid).where(compared_instances.c.job_id == job_id)
                ).scalars()
            )
            # What an earlier try was shown stays: one that lost its lease may still be under way.
            new = [
                {"job_id": job_id, "sop_instance_uid": uid, "study_instance_uid": study_uid}
                for uid, study_uid in images.items()
                if uid not in known
            ]
            if new:
                connection.execute(insert(compared_instances), new)
        return True

    def take_out(self, study_instance_uid: StudyInstanceUID) -> int:
        """Take out of use what came, or came again, after it was rejected; return how many."""
        with self._connections.writing() as connection:
            return _take_out(connection, study_instance_uid, self._connections.now())

    def jobs_on_rejected(self, study_instance_uid: StudyInstanceUID) -> dict[JobId, Title]:
        """Return the jobs whose readings may tell of an instance that was rejected since, and why it was."""
        of_its_own = _jobs_told_of(study_instance_uid).where(
            rejected_instances.c.study_instance_uid == jobs.c.study_instance_uid,
            instances.c.revision <= jobs.c.revision,
            jobs.c.revision <= rejected_instances.c.told_up_to,
        )
        of_priors = _jobs_told_of(study_instance_uid).where(
            compared_instances.c.job_id == jobs.c.job_id,
            compared_instances.c.sop_instance_uid == instances.c.sop_instance_uid,
        )
        with self._connections.reading() as connection:
            rows = [*connection.execute(of_its_own), *connection.execute(of_priors)]
        # The codes of the graver reasons are the greater ones.
        return {JobId(row.job_id): Title(row.title) for row in sorted(rows, key=lambda row: row.title)}

    def concern(self, job: Job) -> bool:
        """Say whether something that a job reads, or compares with, was rejected after it was begun."""
        return job.job_id in self.jobs_on_rejected(job.study_instance_uid)


def _jobs_told_of(study_instance_uid: str) -> Select[Any, Any]:
    """Select jobs of a study beside everything rejected that is here; which tells of which is to follow."""
    return (
        select(jobs.c.job_id, func.max(rejected_instances.c.title).label("title"))
        .where(
            jobs.c.study_instance_uid == study_instance_uid,
            instances.c.quarantined == 1,
            rejected_instances.c.sop_instance_uid == instances.c.sop_instance_uid,
            rejected_instances.c.study_instance_uid == instances.c.study_instance_uid,
        )
        .group_by(jobs.c.job_id)
    )


def _is_begun(connection: Connection, study: Row[Any]) -> bool:
    """Say whether the current revision of a study is being read, or was."""
    return study.state != StudyState.RECEIVING and is_job_begun(
        connection, study.study_instance_uid, study.revision
    )


def _reject(connection: Connection, note: Instance, rejected: RejectionNote, *, told_up_to: int) -> None:
    before = select(rejected_instances.c.sop_instance_uid).where(
        rejected_instances.c.study_instance_uid == note.study_instance_uid
    )
    # What could not be read is in no reading.
    unused = select(instances.c.sop_instance_uid).where(
        instances.c.study_instance_uid == note.study_instance_uid, instances.c.quarantined == 1
    )
    known = set(connection.execute(before.union(unused)).scalars())
    rows = [
        {
            "sop_instance_uid": uid,
            "study_instance_uid": note.study_instance_uid,
            "title": rejected.title,
            "told_up_to": told_up_to,
        }
        for uid in rejected.sop_instance_uids
        if uid not in known
    ]
    if rows:
        connection.execute(insert(rejected_instances), rows)


def _take_out(connection: Connection, study_instance_uid: str, now: datetime) -> int:
    query = (
        select(instances, rejected_instances.c.title)
        .join(rejected_instances, rejected_instances.c.sop_instance_uid == instances.c.sop_instance_uid)
        .where(
            instances.c.study_instance_uid == study_instance_uid,
            rejected_instances.c.study_instance_uid == study_instance_uid,
            *_IN_USE,
        )
    )
    rows = connection.execute(query).all()
    for row in rows:
        taken = update(instances).where(instances.c.sop_instance_uid == row.sop_instance_uid)
        connection.execute(taken.values(quarantined=1))
        refused = out_of_use(row, Reason.REJECTED, Title(row.title).meaning, now)
        connection.execute(insert(refusals), refused)
    _open_later_studies(connection, study_instance_uid, [row.sop_instance_uid for row in rows], now)
    return len(rows)


def _open_later_studies(connection: Connection, uid: str, rejected: Sequence[str], now: datetime) -> None:
    """Have the studies read again that were compared with these images of a study."""
    compared = (
        select(jobs.c.study_instance_uid)
        .join(compared_instances, compared_instances.c.job_id == jobs.c.job_id)
        .where(
            compared_instances.c.study_instance_uid == uid,
            compared_instances.c.sop_instance_uid.in_(rejected),
        )
    )
    query = select(studies).where(
        studies.c.study_instance_uid.in_(compared), studies.c.state == StudyState.COMPLETE
    )
    for study in connection.execute(query.with_for_update()).all():
        detail = "it was compared with images that are rejected"
        record_event(connection, now, study.study_instance_uid, "rejected", None, detail=detail)
        _open_again(connection, study, is_begun=_is_begun(connection, study), now=now)


def _open_again(connection: Connection, study: Row[Any], *, is_begun: bool, now: datetime) -> None:
    before = Standing(StudyState(study.state), study.revision)
    after = on_arrival(before, is_for_reading=True, is_job_begun=is_begun)
    change = update(studies).where(studies.c.study_instance_uid == study.study_instance_uid)
    values = {"state": after.state, "revision": after.revision, "reason": Reason.REJECTED.name}
    connection.execute(change.values(last_received_at=now, **values))
    record_event(connection, now, study.study_instance_uid, after.state, Reason.REJECTED)

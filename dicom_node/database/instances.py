"""Questions about instances, and the one transaction that takes them in."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, insert, select, update

from dicom_node.admission import Admission, Arrival, Disposition, Known, Patient, admit, patient_of
from dicom_node.completion import Standing, on_arrival
from dicom_node.database.connections import Connections
from dicom_node.database.events import record_event
from dicom_node.database.prepared import Prepared
from dicom_node.database.quarantine import Fate
from dicom_node.database.schema import (
    doomed_files,
    instances,
    notes_to_read,
    refusals,
    rejected_instances,
    results,
    studies,
)
from dicom_node.database.studies import is_job_begun, patient_of_row
from dicom_node.digest import digest_of_stored, is_marked
from dicom_node.dimse_status import quarantined_with
from dicom_node.errors import DamagedError
from dicom_node.header import Header
from dicom_node.result_classes import KEY_OBJECTS
from dicom_node.routing import is_for_reading
from dicom_node.study import (
    Instance,
    Origin,
    Reason,
    SeriesInstanceUID,
    SOPInstanceUID,
    StudyInstanceUID,
    StudyState,
)

_PROMOTE = (
    update(instances)
    .where(instances.c.sop_instance_uid == bindparam("uid"))
    .values(origin=Origin.ROUTED, revision=bindparam("in_revision"))
)
_MOVE_STUDY = Prepared(
    update(studies)
    .where(studies.c.study_instance_uid == bindparam("uid"))
    .values(
        state=bindparam("to_state"),
        revision=bindparam("to_revision"),
        reason=bindparam("for_reason"),
    )
)
# Apart from it: most arrivals change no more, and what is not named costs no index.
_TOUCH_STUDY = Prepared(
    update(studies)
    .where(studies.c.study_instance_uid == bindparam("uid"))
    .values(last_received_at=bindparam("at"))
)


# Built once: building them costs more than running them.
class _Lookup:
    """A query by identifiers, a few of them at a time, so that it is prepared once whatever their number."""

    AT_A_TIME = 8

    def __init__(self, query: Select[Any], column: ColumnElement[str]) -> None:
        self._one = Prepared(query.where(column == bindparam("uid")))
        names = [f"uid{number}" for number in range(self.AT_A_TIME)]
        self._some = Prepared(query.where(column.in_([bindparam(name) for name in names])))
        self._names = names

    def __call__(self, connection: Connection, uids: Sequence[str]) -> list[Any]:
        """Return the rows of distinct `uids`."""
        if len(uids) == 1:
            return self._one.rows(connection, {"uid": uids[0]})
        found: list[Any] = []
        for at in range(0, len(uids), self.AT_A_TIME):
            some = uids[at : at + self.AT_A_TIME]
            # Places that are left over ask once more for the first: an IN list gives no row twice.
            filled = zip_longest(self._names, some, fillvalue=some[0])
            found += self._some.rows(connection, dict(filled))
        return found


_known_instances = _Lookup(select(instances), instances.c.sop_instance_uid)
_own_results = _Lookup(select(results.c.sop_instance_uid), results.c.sop_instance_uid)
_known_studies = _Lookup(
    select(
        *(studies.c[name] for name in ("study_instance_uid", "revision", "state", "reason")),
        *(
            studies.c[name]
            for name in ("patient_id", "issuer_of_patient_id", "patient_birth_date", "patient_sex")
        ),
    ),
    studies.c.study_instance_uid,
)
_NEW_INSTANCES = Prepared(insert(instances), instances.c.keys())
_NEW_STUDIES, _NEW_REFUSALS = insert(studies), insert(refusals)


class InstanceRepository:
    """Instances as rows."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def admit(self, arrivals: Sequence[Arrival]) -> list[Admission]:
        """Decide about arrivals in order and write all that follows from it, in one durable transaction."""
        with self._connections.writing() as connection:
            intake = _Intake(connection, arrivals, self._connections.now())
            admissions = [intake.take(arrival) for arrival in arrivals]
            intake.write()
        return admissions

    def readmit(self, sop_instance_uid: SOPInstanceUID, path: Path | None) -> bool:
        """Use an instance again that was taken out of its study; False if there is none with this file.

        Its study stands as if it had just arrived.
        """
        query = select(instances).where(
            instances.c.sop_instance_uid == sop_instance_uid, instances.c.path == str(path)
        )
        with self._connections.writing() as connection:
            row = connection.execute(query).one_or_none()
            if row is None or not row.quarantined:
                return row is not None
            now = self._connections.now()
            arrival = Arrival(replace(instance_of_row(row), received_at=now), Header(), "")
            intake = _Intake(connection, [arrival], now)
            revision = intake.move(arrival.instance, arrival).revision
            back = update(instances).where(instances.c.sop_instance_uid == sop_instance_uid)
            connection.execute(back.values(quarantined=0, revision=revision))
            rejected = rejected_instances.c.sop_instance_uid == sop_instance_uid
            connection.execute(delete(rejected_instances).where(rejected))
            intake.write()
        return True

    def get(self, sop_instance_uid: str) -> Instance | None:
        """Return an instance, whatever its origin; None if it is not known or in quarantine."""
        query = select(instances).where(
            instances.c.sop_instance_uid == sop_instance_uid, instances.c.quarantined == 0
        )
        with self._connections.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else instance_of_row(row)

    def of_study(self, study_instance_uid: str, up_to_revision: int | None = None) -> list[Instance]:
        """Return what of a study is in use, by series; own results and quarantined instances are left out."""
        query = _of_study(study_instance_uid)
        if up_to_revision is not None:
            query = query.where(instances.c.revision <= up_to_revision)
        with self._connections.reading() as connection:
            return [instance_of_row(row) for row in connection.execute(query)]

    def one_of_study(self, study_instance_uid: str) -> Instance | None:
        """Return the first of `of_study`; None if there is none."""
        with self._connections.reading() as connection:
            row = connection.execute(_of_study(study_instance_uid).limit(1)).one_or_none()
        return None if row is None else instance_of_row(row)

    def in_folder(self, folder: Path) -> list[Instance]:
        """Return the instances whose files lie in a folder, whatever became of them."""
        query = select(instances).where(instances.c.path.startswith(f"{folder}/", autoescape=True))
        with self._connections.reading() as connection:
            return [instance_of_row(row) for row in connection.execute(query)]

    def files_in(self, folder: Path) -> set[Path]:
        """Return every file in a folder that a row points to: in use, in quarantine, a result or doomed."""
        found: set[Path] = set()
        with self._connections.reading() as connection:
            for column in (instances.c.path, refusals.c.kept_at, results.c.path, doomed_files.c.path):
                query = select(column).where(column.startswith(f"{folder}/", autoescape=True))
                found.update(Path(path) for path in connection.execute(query).scalars())
        return found


def _of_study(study_instance_uid: str) -> Select[Any]:
    return (
        select(instances)
        .where(
            instances.c.study_instance_uid == study_instance_uid,
            instances.c.quarantined == 0,
            instances.c.origin != Origin.RESULT,
        )
        .order_by(instances.c.series_instance_uid, instances.c.sop_instance_uid)
    )


def instance_of_row(row: Row[Any]) -> Instance:
    return Instance(
        sop_instance_uid=SOPInstanceUID(row.sop_instance_uid),
        sop_class_uid=row.sop_class_uid,
        series_instance_uid=SeriesInstanceUID(row.series_instance_uid),
        study_instance_uid=StudyInstanceUID(row.study_instance_uid),
        transfer_syntax_uid=row.transfer_syntax_uid,
        modality=row.modality,
        path=Path(row.path),
        digest=row.digest,
        size=row.size,
        origin=Origin(row.origin),
        received_at=row.received_at,
    )


class _Intake:
    """One transaction's view of the index, kept true while arrivals are taken one after the other."""

    def __init__(self, connection: Connection, arrivals: Sequence[Arrival], now: datetime) -> None:
        self._connection = connection
        self._now = now
        uids = [arrival.instance.sop_instance_uid for arrival in arrivals]
        study_uids = list({arrival.instance.study_instance_uid for arrival in arrivals})
        rows = _known_instances(connection, uids)
        self._known = {row.sop_instance_uid: instance_of_row(row) for row in rows}
        self._own = {row.sop_instance_uid for row in _own_results(connection, uids)}
        self._patients: dict[str, Patient] = {}
        self._standings: dict[str, Standing] = {}
        for row in _known_studies(connection, study_uids):
            reason = None if row.reason is None else Reason[row.reason]
            if row.state != StudyState.REMOVED:  # whose it was is forgotten
                self._patients[row.study_instance_uid] = patient_of_row(row)
            self._standings[row.study_instance_uid] = Standing(StudyState(row.state), row.revision, reason)
        self._new_studies: dict[str, dict[str, Any]] = {}
        self._moved: dict[str, dict[str, Any]] = {}
        self._touched: dict[str, dict[str, Any]] = {}
        self._new_instances: list[dict[str, Any]] = []
        self._notes: list[dict[str, Any]] = []
        self._promoted: list[dict[str, Any]] = []
        self._refused: list[dict[str, Any]] = []
        self._duplicates: Counter[str] = Counter()

    def take(self, arrival: Arrival) -> Admission:
        instance = arrival.instance
        known = Known(
            instance=_comparable(self._known.get(instance.sop_instance_uid), instance),
            patient=self._patients.get(instance.study_instance_uid),
            is_own_result=instance.sop_instance_uid in self._own,
        )
        admission = admit(arrival, known)
        match admission.disposition:
            case Disposition.KEPT:
                self._keep(arrival, admission.origin)
            case Disposition.QUARANTINED if self._is_in_quarantine(instance):
                admission = replace(admission, disposition=Disposition.DUPLICATE)
            case Disposition.QUARANTINED:
                self._refused.append(_quarantine_row(arrival, admission))
            case Disposition.DUPLICATE:
                self._duplicates[instance.study_instance_uid] += 1
        if known.instance is not None:
            self._arrived_again(arrival, known.instance, admission)
        return admission

    def _keep(self, arrival: Arrival, origin: Origin) -> None:
        instance = arrival.instance
        uid = instance.study_instance_uid
        if uid not in self._patients:
            self._open_study(arrival, origin)
        kept = replace(instance, origin=origin)
        standing = self.move(kept, arrival)
        self._known[instance.sop_instance_uid] = kept
        self._new_instances.append(_instance_row(kept, arrival, standing.revision))
        if kept.sop_class_uid == KEY_OBJECTS and origin is Origin.ROUTED:
            self._notes.append({"sop_instance_uid": kept.sop_instance_uid})

    def _open_study(self, arrival: Arrival, origin: Origin) -> None:
        """Make the row of a study that is new, or has been removed: then its next revision begins."""
        instance, header = arrival.instance, arrival.header
        uid = instance.study_instance_uid
        patient = patient_of(header)
        state = StudyState.RECEIVING if origin is Origin.ROUTED else StudyState.REFERENCE
        removed = self._standings.get(uid)
        revision = (
            1 if removed is None else removed.revision + is_job_begun(self._connection, uid, removed.revision)
        )
        self._patients[uid] = patient
        self._standings[uid] = Standing(state, revision)
        row = {
            "study_instance_uid": uid,
            "revision": revision,
            "state": state,
            "reason": None,
            "study_date": header.study_date[:16],
            "study_time": header.study_time[:16],
            "patient_id": patient.patient_id,
            "issuer_of_patient_id": patient.issuer,
            "patient_birth_date": patient.birth_date,
            "patient_sex": patient.sex,
            "first_received_at": instance.received_at,
            "last_received_at": instance.received_at,
        }
        if removed is None:
            self._new_studies[uid] = row
        else:
            record_event(self._connection, instance.received_at, uid, state, None)
            reopened = update(studies).where(studies.c.study_instance_uid == uid)
            self._connection.execute(reopened.values(row))

    def _arrived_again(self, arrival: Arrival, known: Instance, admission: Admission) -> None:
        """What we had fetched as part of a prior becomes something to read when it is routed to us."""
        if admission.origin is not Origin.ROUTED or known.origin is not Origin.RETRIEVED:
            return
        promoted = replace(known, origin=Origin.ROUTED)
        standing = self.move(promoted, arrival)
        self._known[known.sop_instance_uid] = promoted
        self._promoted.append({"uid": known.sop_instance_uid, "in_revision": standing.revision})

    def move(self, instance: Instance, arrival: Arrival) -> Standing:
        """Let one instance act on its study; only what was routed to us counts as receiving."""
        uid = instance.study_instance_uid
        before = self._standings[uid]
        if instance.origin is not Origin.ROUTED:
            return before
        is_begun = before.state is not StudyState.RECEIVING and is_job_begun(
            self._connection, uid, before.revision
        )
        after = on_arrival(before, is_for_reading=is_for_reading(instance), is_job_begun=is_begun)
        at = arrival.instance.received_at
        self._touched[uid] = {"uid": uid, "at": at}
        if after is not before:
            record_event(self._connection, at, uid, after.state, after.reason)
            self._standings[uid] = after
            self._moved[uid] = {
                "uid": uid,
                "to_state": after.state,
                "to_revision": after.revision,
                "for_reason": None if after.reason is None else after.reason.name,
            }
        return after

    def _is_in_quarantine(self, instance: Instance) -> bool:
        content = (instance.sop_instance_uid, instance.digest)
        if any((row["sop_instance_uid"], row["digest"]) == content for row in self._refused):
            return True
        query = select(refusals.c.refusal_id).where(
            refusals.c.sop_instance_uid == instance.sop_instance_uid,
            refusals.c.digest == instance.digest,
            refusals.c.fate.is_distinct_from(Fate.DROPPED),
        )
        return self._connection.execute(query).first() is not None

    def write(self) -> None:
        for uid, count in self._duplicates.items():
            standing = self._standings.get(uid)
            if standing is not None:
                detail = f"{count} received again"
                record_event(
                    self._connection, self._now, uid, standing.state, Reason.DUPLICATE, detail=detail
                )
        for statement, rows in (
            (_NEW_STUDIES, list(self._new_studies.values())),
            (_PROMOTE, self._promoted),
            (_NEW_REFUSALS, self._refused),
        ):
            if rows:
                self._connection.execute(statement, rows)
        _MOVE_STUDY.write(self._connection, list(self._moved.values()))
        _TOUCH_STUDY.write(self._connection, list(self._touched.values()))
        _NEW_INSTANCES.write(self._connection, self._new_instances)
        if self._notes:
            uids = [note["sop_instance_uid"] for note in self._notes]
            # One that was lost before it was read, and is sent again, is there.
            self._connection.execute(delete(notes_to_read).where(notes_to_read.c.sop_instance_uid.in_(uids)))
            self._connection.execute(insert(notes_to_read), self._notes)


def _comparable(known: Instance | None, arrived: Instance) -> Instance | None:
    """Give what was received before BLAKE3 was used the digest that tells whether it is the same."""
    if known is None or is_marked(known.digest) == is_marked(arrived.digest):
        return known
    try:
        return replace(known, digest=digest_of_stored(known.path, arrived.digest))
    except (OSError, DamagedError):
        return known  # then it is not shown to be the same


def _fields(instance: Instance) -> dict[str, Any]:
    return {name: getattr(instance, name) for name in Instance.__dataclass_fields__}


def _instance_row(instance: Instance, arrival: Arrival, revision: int) -> dict[str, Any]:
    header = arrival.header
    return {
        **_fields(instance),
        "modality": instance.modality[:16],
        "path": str(instance.path),
        "body_part": header.body_part_examined[:64],
        "description": " ".join(filter(None, (header.study_description, header.series_description))),
        "revision": revision,
        "quarantined": 0,
    }


def _quarantine_row(arrival: Arrival, admission: Admission) -> dict[str, Any]:
    assert admission.reason is not None  # noqa: S101 - a quarantine always has one
    instance = arrival.instance
    return {
        "sop_instance_uid": instance.sop_instance_uid,
        "study_instance_uid": instance.study_instance_uid,
        "reason": admission.reason.name,
        "detail": admission.detail,
        "dimse_status": quarantined_with(admission.reason),
        "kept_at": str(instance.path),
        "digest": instance.digest,
        "calling_ae_title": arrival.calling_ae_title[:16],
        "at": instance.received_at,
    }

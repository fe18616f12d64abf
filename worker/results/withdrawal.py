"""Takes results back that were sent: a rejection note for each job, delivered like any other object."""

from collections.abc import Sequence
from typing import Any

from pydicom import dcmread

from dicom_node.database.engine import Database
from dicom_node.settings import NodeSettings
from dicom_node.storage import ResultStore
from dicom_node.study import Decision, DecisionKind, JobId, SOPInstanceUID, StoredResult
from dicom_node.uids import is_uid
from structured_reports.withdrawal import Ground, rejection_note
from worker.errors import AskedAmissError
from worker.settings import software_version


def results_named(what: str, database: Database) -> list[StoredResult]:
    """Find what somebody wants to withdraw: one result by its UID, or all of a study; notes are not among it.

    Raises:
        AskedAmissError: nothing was made under that UID.
    """
    if not is_uid(what):
        raise AskedAmissError(f"{what} is no UID of a study or of a result")
    one = database.results.get(what)
    found = [one] if one is not None else list(database.results.of_study(what))
    unsent = database.decisions.withheld_jobs(found[0].study_instance_uid) if found else set[JobId]()
    meant = [
        result
        for result in found
        if result.job_id not in unsent
        and result.sop_instance_uid not in database.withdrawals.notes(result.job_id)
    ]
    if not meant:
        why = "held or dropped: nobody has it" if unsent else "no result of this node"
        raise AskedAmissError(f"nothing of {what} can be withdrawn: {why}")
    return meant


def withdraw(
    settings: NodeSettings,
    database: Database,
    meant: Sequence[StoredResult],
    ground: Ground,
    *,
    decided_by: str,
    why: str,
) -> list[tuple[JobId, int, bool]]:
    """Withdraw results; return for each job how many, and whether a note goes out; none if all were before.

    Raises:
        DecisionError: a worker is sending them, or they have not been sent.
        ReportError: the note cannot be written.
        StorageError: it could not be made durable.
    """
    store = ResultStore(settings.node.data_dir, database, destinations=())
    done: list[tuple[JobId, int, bool]] = []
    try:
        for job_id in dict.fromkeys(result.job_id for result in meant):
            before = database.withdrawals.withdrawn(job_id)
            left = [r for r in meant if r.job_id == job_id and r.sop_instance_uid not in before]
            if left:
                decision = Decision(
                    job_id, DecisionKind.WITHDRAWN, database.connections.now(), decided_by, why
                )
                is_sent = _withdraw_one(database, store, decision, left, ground)
                done.append((job_id, len(left), is_sent))
    finally:
        store.spool.close()
    return done


def _withdraw_one(
    database: Database, store: ResultStore, decision: Decision, left: Sequence[StoredResult], ground: Ground
) -> bool:
    # The report first: patient and study are taken from it, and it is the smallest.
    ordered = sorted(left, key=lambda result: result.modality != "SR")
    headers = [dcmread(result.path, stop_before_pixels=True) for result in ordered]
    at = decision.at.astimezone()
    note = store.freeze(
        decision.job_id, rejection_note(headers, ground, decided_at=at, software_version=software_version())
    )
    is_sent = False
    try:
        is_sent = database.withdrawals.withdraw(decision, [r.sop_instance_uid for r in left], note)
    finally:
        if not is_sent:
            note.path.unlink(missing_ok=True)
    return is_sent


def withdrawn_values(database: Database) -> list[dict[str, Any]]:
    """Tell of every withdrawal what, when, by whom, why, and how far the note has come."""
    return [
        {
            "job_id": each.decision.job_id,
            "study_instance_uid": database.jobs.get(each.decision.job_id).study_instance_uid,
            "at": each.decision.at.isoformat(timespec="seconds"),
            "by": each.decision.decided_by,
            "reason": each.decision.why,
            "results": list(each.results),
            "note": each.note,
            "delivered": _delivered(database, each.decision.job_id, each.note),
        }
        for each in database.withdrawals.all()
    ]


def _delivered(database: Database, job_id: JobId, note: SOPInstanceUID | None) -> dict[str, str]:
    mine = (d for d in database.deliveries.of_job(job_id) if d.sop_instance_uid == note)
    return {delivery.destination: delivery.state.value for delivery in mine}

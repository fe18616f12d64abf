"""The whole of one study as plain values: where it stands, its jobs and objects, and all that happened."""

from collections.abc import Sequence
from typing import Any

from dicom_node.advice import WHAT_TO_DO
from dicom_node.database.engine import Database
from dicom_node.errors import StorageError
from dicom_node.proof import Proof
from dicom_node.study import Job, JobId, Reason, SOPInstanceUID, Study, StudyInstanceUID
from dicom_node.timeline.entries import Entry, entries_of


def timeline_of(database: Database, named: str) -> dict[str, Any]:
    """Return what is known of a study, named by its Study Instance UID or the number of one of its jobs.

    Nothing in it names the patient.

    Raises:
        StorageError: nothing is known of it here.
    """
    uid = database.jobs.get(JobId(int(named))).study_instance_uid if named.isdecimal() else named
    uid = StudyInstanceUID(uid)
    entries = entries_of(database, uid)
    if not entries:
        raise StorageError("the study is not known here; see `medversa-node status`")
    study = next((one for one in database.studies.all() if one.study_instance_uid == uid), None)
    return {
        "study": {"study_instance_uid": uid} | (_never_kept() if study is None else _study(study)),
        "jobs": [_job(database, job) for job in database.jobs.of_study(uid)],
        "entries": _timed(entries),
    }


def _never_kept() -> dict[str, Any]:
    return {"revision": 0, "state": "nothing of it was kept", "reason": "", "why": "", "what_to_do": ""}


def _study(study: Study) -> dict[str, Any]:
    return {
        "revision": study.revision,
        "state": study.state.value,
        **_told(study.reason),
        "instances": study.instance_count,
        "modalities": "/".join(study.modalities),
    }


def _job(database: Database, job: Job) -> dict[str, Any]:
    proofs = {(p.sop_instance_uid, p.destination): p for p in database.proofs.of_job(job.job_id)}
    return {
        "job_id": job.job_id,
        "revision": job.revision,
        "state": job.state.value,
        **_told(job.reason),
        "detail": job.detail,
        "attempts": job.attempts,
        "objects": [
            {
                "sop_instance_uid": result.sop_instance_uid,
                "modality": result.modality,
                "description": result.series_description,
                "destinations": _sent(database, job.job_id, result.sop_instance_uid, proofs),
            }
            for result in database.results.of_job(job.job_id)
        ],
    }


def _sent(
    database: Database,
    job_id: JobId,
    uid: SOPInstanceUID,
    proofs: dict[tuple[SOPInstanceUID, str], Proof],
) -> list[dict[str, Any]]:
    return [
        {
            "name": one.destination,
            "state": one.state.value,
            "attempts": one.attempts,
            "status": "" if one.dimse_status is None else f"0x{one.dimse_status:04X}",
            "proof": proofs[key].state.value if (key := (uid, one.destination)) in proofs else "",
        }
        for one in database.deliveries.of_job(job_id)
        if one.sop_instance_uid == uid
    ]


def _told(reason: Reason | None) -> dict[str, str]:
    if reason is None:
        return {"reason": "", "why": "", "what_to_do": ""}
    return {"reason": reason.name, "why": reason.value, "what_to_do": WHAT_TO_DO[reason]}


def _timed(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Give each entry the seconds since the one before: where a study waited is where they are many."""
    previous = [entries[0], *entries]
    return [
        {
            "at": entry.at.isoformat(timespec="milliseconds"),
            "after_s": round((entry.at - before.at).total_seconds(), 3),
            "kind": entry.kind,
            "text": entry.text,
            "detail": entry.detail,
            "job_id": entry.job_id,
            "is_failure": entry.is_failure,
        }
        for before, entry in zip(previous, entries, strict=False)
    ]

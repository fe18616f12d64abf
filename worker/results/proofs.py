"""Tells of each result of a job what each destination answered, and how it has shown that it keeps it."""

from typing import Any

from dicom_node.database.engine import Database
from dicom_node.proof import Proof
from dicom_node.study import Delivery, JobId
from worker.errors import AskedAmissError


def proof_values(database: Database, job_id: JobId) -> list[dict[str, Any]]:
    """Return one entry for each destination and object, in sending order."""
    results = {result.sop_instance_uid: result for result in database.results.of_job(job_id)}
    proofs = {(proof.destination, proof.sop_instance_uid): proof for proof in database.proofs.of_job(job_id)}
    return [
        {
            "modality": results[delivery.sop_instance_uid].modality,
            "file_sha256": results[delivery.sop_instance_uid].sha256,
            **_answer(delivery),
            **_proof(proofs.get((delivery.destination, delivery.sop_instance_uid))),
        }
        for delivery in database.deliveries.of_job(job_id)
    ]


def jobs_named(what: str, database: Database) -> list[JobId]:
    """Find the jobs that somebody means: by a number, by the study, or by one of the objects.

    Raises:
        AskedAmissError: there is none.
    """
    result = database.results.get(what)
    found = [result.job_id] if result else [job.job_id for job in database.jobs.of_study(what)]
    if what.isdecimal():
        found = [job.job_id for job in database.jobs.all() if job.job_id == int(what)]
    if not found:
        raise AskedAmissError(f"{what} names no job, study or result; see `medversa-node status`")
    return found


def _answer(delivery: Delivery) -> dict[str, Any]:
    status = delivery.dimse_status
    return {
        "destination": delivery.destination,
        "sop_instance_uid": delivery.sop_instance_uid,
        "delivery": delivery.state.value,
        "attempts": delivery.attempts,
        "status": None if status is None else f"0x{status:04X}",
    }


def _proof(proof: Proof | None) -> dict[str, Any]:
    if proof is None:
        return {"proof": None}
    answered = proof.answered_at
    return {
        "proof": proof.state.value,
        "method": proof.method,
        "requests": proof.requests,
        "answered_at": None if answered is None else answered.isoformat(timespec="seconds"),
        "transaction_uid": proof.transaction_uid,
        "detail": proof.detail,
    }

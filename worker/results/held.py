"""What the publication gate holds, as values and as lines, and how people name it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dicom_node.database.engine import Database
from dicom_node.study import Hold, JobId
from dicom_node.uids import is_uid
from worker.errors import AskedAmissError


def held_values(database: Database, *, also_decided: bool) -> list[dict[str, Any]]:
    """Tell of every job whose results are held what is held and why; also of decided ones if wanted."""
    holds = database.decisions.holds()
    return [_values(database, hold) for hold in holds if also_decided or hold.decision is None]


def _values(database: Database, hold: Hold) -> dict[str, Any]:
    job = database.jobs.get(hold.job_id)
    newest = database.studies.get(job.study_instance_uid).revision
    told: dict[str, Any] = {
        "job_id": hold.job_id,
        "study_instance_uid": job.study_instance_uid,
        "revision": job.revision,
        "replaced_by_revision": newest if newest > job.revision else None,
        "held_at": hold.at.isoformat(timespec="seconds"),
        "because": list(hold.faults),
        "objects": [
            {"sop_instance_uid": result.sop_instance_uid, "description": result.series_description}
            for result in database.results.of_job(hold.job_id)
        ],
        "destinations": sorted({d.destination for d in database.deliveries.of_job(hold.job_id)}),
    }
    if hold.decision is not None:
        decision = hold.decision
        at = decision.at.isoformat(timespec="seconds")
        told["decision"] = {
            "kind": decision.kind.value,
            "at": at,
            "by": decision.decided_by,
            "reason": decision.why,
        }
    return told


def text_of(told: Sequence[Mapping[str, Any]]) -> str:
    """Say the same in lines; that nothing is held, if so."""
    return "\n".join(line for each in told for line in _lines(each)) or "nothing is held"


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    yield f"job {told['job_id']}, held since {told['held_at']}, study {told['study_instance_uid']}"
    if told["replaced_by_revision"]:
        yield f"  of revision {told['revision']}; the study has revision {told['replaced_by_revision']} now"
    yield from (f"  because: {fault}" for fault in told["because"])
    yield from (f"  {each['sop_instance_uid']} {each['description']}" for each in told["objects"])
    yield f"  for: {', '.join(told['destinations']) or 'nobody: it would stay here'}"
    if decision := told.get("decision"):
        yield f"  {decision['kind']} at {decision['at']} by {decision['by']}: {decision['reason']}"


def job_named(what: str, database: Database) -> JobId:
    """Find the job with a hold that somebody means: by its number, one of its objects, or its study.

    Raises:
        AskedAmissError: nothing is held there, or a study has several jobs that are.
    """
    held = {hold.job_id for hold in database.decisions.holds()}
    if what.isdecimal():
        found = [JobId(int(what))]
    elif is_uid(what):
        result = database.results.get(what)
        found = [result.job_id] if result else [job.job_id for job in database.jobs.of_study(what)]
    else:
        raise AskedAmissError(f"{what} is no job number and no UID; see `medversa-node results held`")
    found = [job_id for job_id in found if job_id in held]
    if not found:
        raise AskedAmissError(f"nothing of {what} is held; see `medversa-node results held`")
    if len(found) > 1:
        jobs = ", ".join(map(str, found))
        raise AskedAmissError(f"jobs {jobs} of this study are or were held: name one by its number")
    return found[0]

"""Everything that the index knows of one study, as entries in the order in which it happened."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from dicom_node.database.engine import Database
from dicom_node.database.events import Event
from dicom_node.study import Instance, Job, JobState, Origin, Refusal, StudyInstanceUID, StudyState

FAILURES = frozenset({JobState.FAILED, JobState.HELD})
STATES = frozenset({*StudyState, *JobState})
"""What studies and jobs can be; every other event is a note, which changes none of it."""
SIGNALS = frozenset({"announced"})
"""Notes of what others said of the study."""
_ARRIVED = {
    Origin.ROUTED: "arrived",
    Origin.RETRIEVED: "fetched as a prior",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened, without names and numbers of the patient."""

    at: datetime
    kind: str
    """signal, study, job, note, refusal, proof or decision."""
    text: str
    detail: str = ""
    job_id: int | None = None
    is_failure: bool = False


def entries_of(database: Database, uid: StudyInstanceUID) -> list[Entry]:
    """Gather the entries of a study and its jobs, oldest first."""
    jobs = database.jobs.of_study(uid)
    found = [
        *_arrivals(database.instances.of_study(uid)),
        *map(_of_event, database.events.of_study(uid)),
        *map(_of_refusal, database.refusals.of_study(uid)),
        *(entry for job in jobs for entry in _of_job(database, job)),
    ]
    return sorted(found, key=lambda entry: entry.at)


def _arrivals(instances: Sequence[Instance]) -> Iterator[Entry]:
    """Tell of each series when its first instance came and when its last."""
    by_series: defaultdict[tuple[str, Origin], list[Instance]] = defaultdict(list)
    for instance in instances:
        by_series[instance.series_instance_uid, instance.origin].append(instance)
    for (series, origin), members in by_series.items():
        times = sorted(member.received_at for member in members)
        what = f"{len(members)} {members[0].modality or 'unknown'} of series …{series[-12:]}"
        spread = f"the last {(times[-1] - times[0]).total_seconds():.1f} s later" if len(members) > 1 else ""
        yield Entry(times[0], "signal", f"{what} {_ARRIVED[origin]}", spread)


def _of_event(event: Event) -> Entry:
    is_note = event.state not in STATES
    subject = f"job {event.job_id}" if event.job_id is not None else "study"
    words = [f"{subject}: {event.state}", event.reason.value if event.reason is not None else ""]
    return Entry(
        event.at,
        _kind(event),
        event.state if is_note else ", ".join(filter(None, words)),
        event.detail,
        event.job_id,
        is_failure=event.state in FAILURES,
    )


def _kind(event: Event) -> str:
    if event.state not in STATES:
        return "signal" if event.state in SIGNALS else "note"
    return "study" if event.job_id is None else "job"


def _of_refusal(refusal: Refusal) -> Entry:
    what = "refused" if refusal.kept_at is None else "put into quarantine"
    by = f" from {refusal.calling_ae_title}" if refusal.calling_ae_title else ""
    text = f"instance{by} {what}: {refusal.reason.value}"
    return Entry(refusal.at, "refusal", text, refusal.detail, is_failure=True)


def _of_job(database: Database, job: Job) -> Iterator[Entry]:
    """Tell what is written beside a job's events: proofs, holds, and what people decided."""
    for proof in database.proofs.of_job(job.job_id):
        what = f"…{proof.sop_instance_uid[-12:]} at {proof.destination}"
        if proof.asked_at is not None:
            yield Entry(proof.asked_at, "proof", f"proof asked of {what} ({proof.method})", "", job.job_id)
        if proof.answered_at is not None:
            text = f"proof of {what}: {proof.state.value}"
            yield Entry(proof.answered_at, "proof", text, proof.detail, job.job_id)
    hold = database.decisions.hold_of(job.job_id)
    if hold is not None:
        yield Entry(hold.at, "decision", "results held", "; ".join(hold.faults), job.job_id, is_failure=True)
    for decision in database.decisions.of_job(job.job_id):
        text = f"{decision.kind.value} by {decision.decided_by}"
        yield Entry(decision.at, "decision", text, "", job.job_id)

"""Many jobs at once in an index, and the messages about them in a real Redis."""

import base64
import json
from datetime import timedelta

import redis
from sqlalchemy import insert

from dicom_node.database.engine import Database
from dicom_node.database.schema import jobs, studies
from dicom_node.dispatch import QUEUES
from dicom_node.study import JobState, Priority, Stage, StudyState
from dicom_node.urgency import overdue_at


def add_jobs(
    database: Database,
    count: int,
    state: JobState = JobState.QUEUED,
    *,
    leased_for_s: float | None = None,
    priority: Priority = Priority.ROUTINE,
) -> list[int]:
    """Write complete studies with a job each, as they lie in an index; return the numbers of the jobs."""
    now = database.connections.now()
    first = max((job.job_id for job in database.jobs.all()), default=0) + 1
    numbers = list(range(first, first + count))
    study = {
        **dict.fromkeys(("study_date", "study_time", "patient_id", "issuer_of_patient_id"), ""),
        **dict.fromkeys(("patient_birth_date", "patient_sex"), ""),
        **dict.fromkeys(("first_received_at", "last_received_at"), now),
    }
    job = {
        "state": state,
        "priority": priority,
        "overdue_at": overdue_at(now, priority),
        "attempts": 0 if state is JobState.QUEUED else 1,
        "lease_until": None if leased_for_s is None else now + timedelta(seconds=leased_for_s),
        **dict.fromkeys(("not_before", "created_at", "changed_at"), now),
    }
    with database.connections.writing() as connection:
        named = {"revision": 1, "state": StudyState.COMPLETE, **study}
        connection.execute(insert(studies), [{"study_instance_uid": f"2.25.{n}", **named} for n in numbers])
        rows = [{"job_id": n, "study_instance_uid": f"2.25.{n}", "revision": 1, **job} for n in numbers]
        connection.execute(insert(jobs), rows)
    return numbers


def messages_in(url: str) -> int:
    """Count the messages that wait in a broker."""
    with redis.Redis.from_url(url) as client:
        return sum(int(client.llen(queue)) for queue in QUEUES.values())


def job_ids_in(url: str, stage: Stage = Stage.READING) -> list[int]:
    """Return the job numbers of the messages that wait in a queue, the oldest first."""
    with redis.Redis.from_url(url) as client:
        messages = [json.loads(message) for message in client.lrange(QUEUES[stage], 0, -1)]
    return [json.loads(base64.b64decode(message["body"]))[0][0] for message in reversed(messages)]

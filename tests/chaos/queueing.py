"""What a poisonous study costs those beside it, and whom a STAT study overtakes."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from dicom_node.database.engine import Database
from dicom_node.database.events import Event
from dicom_node.study import Job, JobState, Priority
from tests.chaos.hospital import (
    Hospital,
    jobs_of,
    prioritize,
    wait_for_end,
    wait_until,
    write_studies,
)
from tests.chaos.scripted_worker import HANGS, KILLS, SLOW

OTHERS = 40
POISON_LIMIT_S = 4.0
BACKLOG = 500
MOST_SLOWED = 0.2


def poison(hospital: Hospital) -> int:
    """Read the same number of good studies without poisonous ones and among them; compare the rates."""
    alone = _rate(hospital, "alone", ())
    rates = {mark: _rate(hospital, mark, (mark,)) for mark in (KILLS, HANGS)}
    failed = 0
    for mark, rate in rates.items():
        slowed = 1 - rate / alone
        failed += slowed > MOST_SLOWED
        what = "kills its worker" if mark == KILLS else f"hangs until the limit of {POISON_LIMIT_S:g} s"
        print(  # noqa: T201 (the answer)
            f"a study that {what}: {OTHERS} others at {rate:.2f} studies/s, {alone:.2f} without it, "
            f"{slowed:.0%} slower"
        )
    return failed


def _rate(hospital: Hospital, name: str, poisons: Sequence[str]) -> float:
    """Return good studies per second, from the first that was begun to the last that was delivered."""
    folder = hospital.folder / f"poison-{name}"
    bad = [path for mark in poisons for path in write_studies(folder / mark, 1, mark)]
    good = write_studies(folder / "good", OTHERS, SLOW)
    hospital.send([*bad, *good])
    wait_for_end(hospital, [*bad, *good])
    database = hospital.open_index()
    histories = [database.events.of_study(job.study_instance_uid) for job in jobs_of(database, good)]
    dead = jobs_of(database, bad)
    database.close()
    assert all(job.state is JobState.FAILED and job.attempts == 3 for job in dead), "not dead after three"
    for job in dead:
        print(_told(job))  # noqa: T201 (the answer)
    begun = min(_at(history, JobState.RUNNING) for history in histories)
    ended = max(_at(history, JobState.DONE) for history in histories)
    return OTHERS / (ended - begun).total_seconds()


def _told(job: Job) -> str:
    reason = None if job.reason is None else job.reason.name
    return f"poisonous study: {job.state} with {reason} after {job.attempts} attempts"


def _at(history: Sequence[Event], state: JobState) -> datetime:
    return next(event.at for event in history if event.state == state)


def urgency(hospital: Hospital) -> int:
    """Have a backlog wait, add one STAT study as the last, start a worker and see when it is done."""
    worker = hospital.worker
    assert worker is not None
    worker.stop()
    files = write_studies(hospital.folder / "backlog", BACKLOG)
    hospital.send(files)
    stat = write_studies(hospital.folder / "stat", 1)
    hospital.send(stat)
    database = hospital.open_index()
    wait_until(lambda: len(database.jobs.all()) == BACKLOG + 1, 300, "every study has a job")
    prioritize(database, stat, Priority.STAT)
    hospital.start_worker()
    seconds = wait_for_end(hospital, stat)
    begun = {
        path: [_at(database.events.of_study(job.study_instance_uid), JobState.RUNNING) for job in jobs]
        for path, jobs in (("stat", jobs_of(database, stat)), ("others", _begun(database, files)))
    }
    database.close()
    before = sum(at < begun["stat"][0] for at in begun["others"])
    print(  # noqa: T201 (the answer)
        f"STAT study behind {BACKLOG} others: delivered {seconds:.1f} s after the worker was ready; "
        f"{before} of the others were begun before it"
    )
    return int(before > 0)


def _begun(database: Database, files: Sequence[Path]) -> list[Job]:
    return [job for job in jobs_of(database, files) if job.attempts]


RUNS = {"poison": poison, "urgency": urgency}


def run(name: str, folder: Path) -> int:
    hospital = Hospital(folder, time_limit_s=POISON_LIMIT_S if name == "poison" else 60.0)
    try:
        hospital.start()
        return RUNS[name](hospital)
    finally:
        hospital.stop()

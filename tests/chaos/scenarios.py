"""What is done to a running hospital, by name. Each returns how many seconds it took to recover."""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import redis

from dicom_node.errors import NodeError
from dicom_node.study import JobState, StudyState
from tests.chaos.hospital import Hospital, study_uid, wait_for_end, wait_until, write_studies
from tests.chaos.scripted_worker import SLOW
from tests.postgresql import PostgresServer
from worker.demo.servers import Program

AWAY_S = 3.0
PATIENCE_S = 600
COUNT = 4

Scenario = Callable[[Hospital, Path], float]
"""Does harm while studies written to a folder pass through; returns seconds from the end of the harm."""


def _sending(hospital: Hospital, files: Sequence[Path]) -> threading.Thread:
    thread = threading.Thread(target=hospital.send, args=(files,), daemon=True)
    thread.start()
    return thread


def _end(hospital: Hospital, files: Sequence[Path], sender: threading.Thread) -> float:
    begun = time.monotonic()
    sender.join(PATIENCE_S)
    assert not sender.is_alive(), "not everything was taken"
    wait_for_end(hospital, files, PATIENCE_S)
    return time.monotonic() - begun


def wait_for_state(hospital: Hospital, files: Sequence[Path], state: JobState | StudyState) -> None:
    """Wait until one of some studies, or its job, is in a state."""
    uids = {study_uid(path) for path in files}
    database = hospital.open_index()

    def is_there() -> bool:
        try:
            found = database.jobs.all() if isinstance(state, JobState) else database.studies.all()
        except NodeError:
            return False
        return any(each.study_instance_uid in uids and each.state is state for each in found)

    wait_until(is_there, PATIENCE_S, f"a study that is {state}", every_s=0.02)
    database.close()


def _killed(state: JobState | StudyState, *, node: bool) -> Scenario:
    def scenario(hospital: Hospital, folder: Path) -> float:
        files = write_studies(folder, COUNT, SLOW)
        hospital.archive.delay_s = 0.3
        sender = _sending(hospital, files)
        wait_for_state(hospital, files, state)
        _program(hospital, node=node).kill()
        (hospital.start_node if node else hospital.start_worker)()
        hospital.archive.delay_s = 0.0
        return _end(hospital, files, sender)

    return scenario


def _program(hospital: Hospital, *, node: bool) -> Program:
    program = hospital.node if node else hospital.worker
    assert program is not None
    return program


def redis_killed(hospital: Hospital, folder: Path) -> float:
    """Redis, which keeps nothing on disk, is killed while studies wait in it, and comes back empty."""
    files = write_studies(folder, COUNT, SLOW)
    sender = _sending(hospital, files)
    wait_for_state(hospital, files, JobState.RUNNING)
    assert hospital.redis is not None
    hospital.redis.kill()
    time.sleep(AWAY_S)
    hospital.redis.start()
    return _end(hospital, files, sender)


def redis_restarted_five_times(hospital: Hospital, folder: Path) -> float:
    files = write_studies(folder, COUNT, SLOW)
    sender = _sending(hospital, files)
    assert hospital.redis is not None
    for _ in range(5):
        hospital.redis.stop()
        hospital.redis.start()
        time.sleep(1)
    return _end(hospital, files, sender)


def redis_flushed(hospital: Hospital, folder: Path) -> float:
    files = write_studies(folder, COUNT, SLOW)
    sender = _sending(hospital, files)
    wait_for_state(hospital, files, JobState.RUNNING)
    with redis.Redis.from_url(hospital.broker_url) as client:
        client.flushall()
    return _end(hospital, files, sender)


def pacs_away_for_the_whole_run(hospital: Hospital, folder: Path) -> float:
    """Everything is read while nobody takes results; they are delivered when the PACS is back."""
    files = write_studies(folder, COUNT)
    hospital.archive.stop()
    hospital.send(files)
    uids = {study_uid(path) for path in files}
    database = hospital.open_index()

    def wait_for_pacs() -> bool:
        jobs = [job for job in database.jobs.all() if job.study_instance_uid in uids]
        return len(jobs) == len(files) and all(
            job.state is JobState.DELIVERING and job.sendings > 0 for job in jobs
        )

    wait_until(wait_for_pacs, PATIENCE_S, "every study waits for the PACS", every_s=0.2)
    database.close()
    hospital.archive.start()
    return wait_for_end(hospital, files, PATIENCE_S)


def disk_full(hospital: Hospital, folder: Path) -> float:
    """The data folder has no block left for some seconds; senders are refused and try again."""
    files = write_studies(folder, COUNT, SLOW)
    sender = _sending(hospital, files)
    wait_for_state(hospital, files, JobState.RUNNING)
    filler = hospital.folder / "data" / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        except OSError:
            pass
    more = write_studies(folder / "more", COUNT)
    second = _sending(hospital, more)
    time.sleep(AWAY_S)
    filler.unlink()
    second.join(PATIENCE_S)
    return _end(hospital, [*files, *more], sender)


def worker_told_to_stop(how: signal.Signals) -> Scenario:
    def scenario(hospital: Hospital, folder: Path) -> float:
        files = write_studies(folder, COUNT, SLOW)
        sender = _sending(hospital, files)
        wait_for_state(hospital, files, JobState.RUNNING)
        worker = _program(hospital, node=False)
        assert worker.process is not None
        worker.process.send_signal(how)
        worker.process.wait(60)
        hospital.start_worker()
        return _end(hospital, files, sender)

    return scenario


SCENARIOS: Final[dict[str, Scenario]] = {
    "Redis killed without persistence": redis_killed,
    "Redis restarted five times": redis_restarted_five_times,
    "FLUSHALL": redis_flushed,
    "PACS away for the whole run": pacs_away_for_the_whole_run,
    **{
        f"worker killed while a job is {state}": _killed(state, node=False)
        for state in (JobState.QUEUED, JobState.RUNNING, JobState.DELIVERING)
    },
    "node killed while a study is receiving": _killed(StudyState.RECEIVING, node=True),
    **{
        f"node killed while a job is {state}": _killed(state, node=True)
        for state in (JobState.QUEUED, JobState.RUNNING, JobState.DELIVERING)
    },
    "worker told to finish (SIGTERM)": worker_told_to_stop(signal.SIGTERM),
    "worker told to stop at once (SIGQUIT)": worker_told_to_stop(signal.SIGQUIT),
}
"""Those that any site can undergo."""


def postgresql_restarted(server: PostgresServer, how: str, hospital: Hospital, folder: Path) -> float:
    files = write_studies(folder, COUNT, SLOW)
    sender = _sending(hospital, files)
    wait_for_state(hospital, files, JobState.RUNNING)
    if how == "killed":
        server.kill()
        time.sleep(AWAY_S)
        server.start()
    else:
        server.restart()
    return _end(hospital, files, sender)


def scenarios_of_postgresql(server: PostgresServer) -> dict[str, Scenario]:
    return {
        f"PostgreSQL {how}": partial(postgresql_restarted, server, how) for how in ("restarted", "killed")
    }

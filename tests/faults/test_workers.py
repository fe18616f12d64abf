"""Workers that are killed, stopped, hung or lied to: real processes, and a model that answers by script."""

import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import redis

from dicom_node.dispatch import QUEUES, TASKS, celery_app
from dicom_node.settings import load_settings
from dicom_node.study import Job, JobState, Reason, Stage
from tests.chaos.hospital import (
    Hospital,
    jobs_of,
    reconcile,
    wait_for_end,
    wait_until,
    write_studies,
)
from tests.chaos.scenarios import SCENARIOS, wait_for_state
from tests.chaos.scripted_worker import CRASHES, HANGS, KILLS, SLOW
from worker.demo.servers import find_program

pytestmark = [
    pytest.mark.skipif(find_program("redis-server") is None, reason="Redis is not installed"),
    pytest.mark.timeout(900),
    # pynetdicom leaves the socket of a refused connection to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

POISONS = (KILLS, CRASHES, HANGS)
GOOD = 4


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """One for all tests of this file; a reading may take 8 s."""
    running = Hospital(tmp_path_factory.mktemp("workers"), time_limit_s=8.0)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def epidemic(hospital: Hospital, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Job]]:
    """How studies ended that kill, crash or hang their worker, and how good ones among them did."""
    folder = tmp_path_factory.mktemp("studies")
    files = {mark: write_studies(folder / mark, 1, mark) for mark in POISONS}
    files["good"] = write_studies(folder / "good", GOOD)
    everything = [path for group in files.values() for path in group]
    hospital.send(everything)
    wait_for_end(hospital, everything)
    database = hospital.open_index()
    ended = {mark: jobs_of(database, group) for mark, group in files.items()}
    database.close()
    return ended


def times_begun(hospital: Hospital, jobs: Sequence[Job]) -> list[int]:
    database = hospital.open_index()
    histories = [database.events.of_study(job.study_instance_uid) for job in jobs]
    database.close()
    return [sum(event.state == JobState.RUNNING for event in history) for history in histories]


@pytest.mark.parametrize("mark", [KILLS, CRASHES])
def test_Q04_study_that_kills_its_worker_is_a_dead_letter_after_three_attempts(
    hospital: Hospital, epidemic: dict[str, list[Job]], mark: str
) -> None:
    (job,) = epidemic[mark]
    assert (job.state, job.reason, job.attempts) == (JobState.FAILED, Reason.WORKER_LOST, 3)
    assert times_begun(hospital, [job]) == [3]


def test_Q12_study_that_hangs_is_stopped_at_the_limit_three_times(
    hospital: Hospital, epidemic: dict[str, list[Job]]
) -> None:
    (job,) = epidemic[HANGS]
    assert (job.state, job.reason, job.attempts) == (JobState.FAILED, Reason.TIMEOUT, 3)
    assert times_begun(hospital, [job]) == [3]


def test_Q04_studies_beside_a_poisonous_one_are_read_once_each(
    hospital: Hospital, epidemic: dict[str, list[Job]]
) -> None:
    assert [job.state for job in epidemic["good"]] == [JobState.DONE] * GOOD
    assert times_begun(hospital, epidemic["good"]) == [1] * GOOD
    assert reconcile(hospital) == []


@pytest.mark.parametrize("name", ["worker told to finish (SIGTERM)", "worker told to stop at once (SIGQUIT)"])
def test_Q08_worker_that_is_told_to_stop_leaves_nothing_lost_or_double(
    hospital: Hospital, tmp_path: Path, name: str
) -> None:
    SCENARIOS[name](hospital, tmp_path)
    assert reconcile(hospital) == []
    assert all(job.attempts == 1 for job in all_done(hospital))


def all_done(hospital: Hospital) -> list[Job]:
    database = hospital.open_index()
    done = [job for job in database.jobs.all() if job.state is JobState.DONE]
    database.close()
    return done


def test_Q09_worker_goes_on_after_each_of_five_restarts_of_the_broker(
    hospital: Hospital, tmp_path: Path
) -> None:
    SCENARIOS["Redis restarted five times"](hospital, tmp_path)
    assert reconcile(hospital) == []


def test_Q05_worker_that_was_stopped_while_another_took_its_job_adds_nothing(
    hospital: Hospital, tmp_path: Path
) -> None:
    files = write_studies(tmp_path, 1, SLOW)
    hospital.send(files)
    wait_for_state(hospital, files, JobState.RUNNING)
    stopped = hospital.worker
    assert stopped is not None
    stopped.pause()
    hospital.start_worker()
    wait_for_end(hospital, files)
    stopped.go_on()
    log = hospital.folder / "worker.log"
    try:
        wait_until(lambda: b"lease lost" in log.read_bytes(), 120, "the stopped worker notices")
    finally:
        stopped.stop()

    database = hospital.open_index()
    (job,) = jobs_of(database, files)
    database.close()
    assert (job.state, job.attempts) == (JobState.DONE, 2)
    assert reconcile(hospital) == []


class Planted:
    """What a pickle would do to whoever loads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_Q11_what_others_put_into_the_queue_does_nothing(hospital: Hospital, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    app = celery_app(load_settings(hospital.config))
    name = TASKS[Stage.READING]
    with app.producer_or_acquire() as producer:
        route = {"routing_key": QUEUES[Stage.READING], "exchange": QUEUES[Stage.READING]}
        pickled = {"content_type": "application/x-python-serialize", "content_encoding": "binary"}
        producer.publish(pickle.dumps(Planted(canary)), headers={"task": name, "id": "1"}, **pickled, **route)
        producer.publish({"no": "task"}, **route)
        producer.publish([1, 2, 3], headers={"task": name, "id": "2"}, **route)
    for task, args in (
        ("os.system", [f"touch {canary}"]),
        (name, ["../../etc/passwd"]),
        (name, [10**30]),
        (name, [{"job": [1]}]),
        (name, ["x" * 5_000_000]),
    ):
        app.send_task(task, args=args, queue=QUEUES[Stage.READING])
    app.send_task(name, args=[1], countdown=10**8, queue=QUEUES[Stage.READING])
    with redis.Redis.from_url(hospital.broker_url) as client:
        client.lpush(QUEUES[Stage.READING], b"no message at all")
    app.close()

    files = write_studies(tmp_path, 1)
    hospital.send(files)
    wait_for_end(hospital, files, 120)

    assert not canary.exists()
    assert reconcile(hospital) == []

"""A broker that is away or forgets everything, and a backlog of thousands: the rows are the truth."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import redis
from sqlalchemy import delete, update

from dicom_node.database.engine import Database, open_database
from dicom_node.database.schema import jobs, studies
from dicom_node.dispatch import Dispatcher
from dicom_node.settings import NodeSettings
from dicom_node.study import JobState, Priority, Reason, Stage, StudyState
from tests.driving import wait_until
from tests.faults.backlog import add_jobs, job_ids_in, messages_in
from tests.faults.raw_peer import echo
from tests.integration.dicom_node.programs import NodeProcess
from tests.unit.dicom_node.conftest import TurnedClock
from worker.demo.servers import Program, find_program, start_redis

pytestmark = pytest.mark.skipif(find_program("redis-server") is None, reason="Redis is not installed")

PATIENCE_S = 500
"""On a busy machine; on a quiet one the backlog is sent in half a minute."""
QUEUED, RUNNING, DELIVERING = 5000, 200, 50


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[tuple[Program, str]]:
    program, url = start_redis(tmp_path / "redis")
    yield program, url
    program.stop()


@pytest.fixture
def index(index_url: str) -> Iterator[Database]:
    with closing(open_database(index_url)) as database:
        yield database


def dispatcher(folder: Path, url: str, index: Database) -> Dispatcher:
    settings = {"node": {"data_dir": str(folder)}, "broker": {"url": url}}
    return Dispatcher(NodeSettings.model_validate(settings), index)


def restart(program: Program, url: str) -> None:
    """Start a killed Redis again, and wait until it answers."""
    program.start()
    with redis.Redis.from_url(url) as client:
        program.wait_until(lambda: answers(client))


def answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_Q01_jobs_that_met_no_broker_are_sent_when_it_is_back(
    tmp_path: Path, broker: tuple[Program, str], index: Database
) -> None:
    program, url = broker
    program.kill()
    numbers = add_jobs(index, 20)
    sending = dispatcher(tmp_path, url, index)

    sending.sweep()
    assert {job.state for job in index.jobs.all()} == {JobState.QUEUED}
    restart(program, url)
    sending.sweep()

    assert job_ids_in(url) == numbers


@pytest.mark.parametrize("how", ["kill -9", "FLUSHALL"])
def test_Q02_five_hundred_messages_that_a_broker_lost_are_sent_again(
    tmp_path: Path, broker: tuple[Program, str], index: Database, how: str
) -> None:
    program, url = broker
    numbers = add_jobs(index, 500)
    sending = dispatcher(tmp_path, url, index)
    sending.sweep()
    assert job_ids_in(url) == numbers

    if how == "FLUSHALL":
        with redis.Redis.from_url(url) as client:
            client.flushall()
    else:
        program.kill()
        restart(program, url)
    assert job_ids_in(url) == []
    sending.sweep()

    assert job_ids_in(url) == numbers


@pytest.mark.timeout(600)
def test_O04_cold_start_with_a_backlog_serves_at_once_and_sends_each_job_once_in_order(
    tmp_path: Path, broker: tuple[Program, str]
) -> None:
    _, url = broker
    node = NodeProcess(tmp_path, extra=f'[broker]\nurl = "{url}"\n')
    node.data_dir.mkdir()
    with closing(open_database(f"sqlite:///{node.data_dir}/node.sqlite")) as index:
        due = add_jobs(index, QUEUED)
        add_jobs(index, RUNNING // 2, JobState.RUNNING, leased_for_s=3600)
        due += add_jobs(index, RUNNING // 2, JobState.RUNNING, leased_for_s=-1)
        due += add_jobs(index, DELIVERING, JobState.DELIVERING, leased_for_s=-1)

        node.start()
        try:
            assert echo(node.port) == 0x0000
            wait_until(lambda: messages_in(url) >= len(due), PATIENCE_S, "every due job is sent")
        finally:
            assert node.stop() == 0
        assert job_ids_in(url, Stage.READING) + job_ids_in(url, Stage.DELIVERY) == due
        states = [job.state for job in index.jobs.all()]

    assert states.count(JobState.QUEUED) == QUEUED + RUNNING // 2
    assert states.count(JobState.RUNNING) == RUNNING // 2
    assert states.count(JobState.DELIVERING) == DELIVERING


def test_Q14_stat_study_overtakes_a_backlog_and_nothing_in_it_waits_for_ever(index_url: str) -> None:
    clock = TurnedClock()
    with closing(open_database(index_url, clock)) as index:
        backlog = add_jobs(index, 10_000)
        clock.turn(23 * 3600)
        stat = add_jobs(index, 20, priority=Priority.STAT)
        taken = [taken_next(index) for _ in range(len(stat) + 1)]
        clock.turn(2 * 3600)
        add_jobs(index, 1, priority=Priority.STAT)
        after_a_day = [taken_next(index) for _ in range(100)]

    assert taken == [*stat, backlog[0]]
    assert after_a_day == backlog[1:101]


def test_Q14_stat_study_overtakes_five_hundred_whose_messages_were_sent_before(
    tmp_path: Path, broker: tuple[Program, str], index: Database
) -> None:
    _, url = broker
    sending = dispatcher(tmp_path, url, index)
    add_jobs(index, 500)
    sending.sweep()
    (stat,) = add_jobs(index, 1, priority=Priority.STAT)
    sending.sweep()

    assert messages_in(url) == 501
    # Whoever gets the first message takes the most urgent job, not the one that the message names.
    assert job_ids_in(url)[0] != stat
    assert taken_next(index) == stat


def taken_next(index: Database) -> int:
    lease = index.jobs.claim_next(Stage.READING, "worker", 600)
    assert lease is not None
    return lease.job.job_id


def test_Q15_study_that_is_completed_from_everywhere_at_once_has_one_job(index: Database) -> None:
    add_jobs(index, 1)
    with index.connections.writing() as connection:
        connection.execute(delete(jobs))
        connection.execute(update(studies).values(state=StudyState.RECEIVING))
    (study,) = index.studies.receiving()

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: index.studies.complete(study, Reason.QUIET_PERIOD), range(100)))

    assert sum(job_id is not None for job_id in made) == 1
    assert len(index.jobs.all()) == 1

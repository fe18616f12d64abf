"""RabbitMQ instead of Redis: studies are read, and what it loses when it is killed is sent again.

Nothing installs RabbitMQ for the tests, since it brings all of Erlang: `apt-get install rabbitmq-server`.
"""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dicom_node.database.engine import Database, open_database
from dicom_node.study import JobState
from tests.driving import wait_until
from tests.integration.dicom_node.programs import NodeProcess
from worker.demo.phantom_studies import WrittenStudy
from worker.demo.servers import Program, accepts_connections, free_port, own_program

RABBITMQ = Path("/usr/lib/rabbitmq/bin")
PATIENCE_S = 180

pytestmark = pytest.mark.skipif(not RABBITMQ.exists(), reason="RabbitMQ is not installed")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[tuple[Program, str]]:
    folder, port = tmp_path / "rabbitmq", free_port()
    folder.mkdir()
    environment = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"medversa{port}@localhost",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "ERL_EPMD_PORT": str(free_port()),
        "ERL_EPMD_RELAXED_COMMAND_CHECK": "1",  # lets it be ended below, whatever it knows
        "RABBITMQ_MNESIA_BASE": str(folder / "store"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
    }
    program = Program("RabbitMQ", [str(RABBITMQ / "rabbitmq-server")], folder / "output", environment)
    program.start()
    program.wait_until(lambda: accepts_connections(port), PATIENCE_S)
    yield program, f"amqp://guest:guest@127.0.0.1:{port}//"
    program.kill()
    epmd = [str(RABBITMQ.parent.parent / "erlang/bin/epmd"), "-kill"]
    subprocess.run(epmd, env=environment, check=False, capture_output=True)


def states(index: Database) -> list[JobState]:
    return [job.state for job in index.jobs.all()]


def test_Q02_studies_are_read_and_a_killed_rabbitmq_loses_none(
    tmp_path: Path, broker: tuple[Program, str], phantoms: dict[str, WrittenStudy]
) -> None:
    program, url = broker
    node = NodeProcess(
        tmp_path,
        extra=f'[broker]\nurl = "{url}"\n'
        f'[[destinations]]\nname = "folder"\nkind = "folder"\nfolder = "{tmp_path}/results"\n',
    ).start()
    worker = own_program("worker", node.config, tmp_path / "worker.log")
    worker.start()
    try:
        with closing(open_database(f"sqlite:///{node.data_dir}/node.sqlite")) as index:
            assert node.send(*phantoms["skin lesion"].files).returncode == 0
            wait_until(lambda: states(index) == [JobState.DONE], PATIENCE_S, "the first study is delivered")

            program.kill()
            assert node.send(*phantoms["chest, prior"].files).returncode == 0
            wait_until(lambda: len(states(index)) == 2, PATIENCE_S, "the second study is complete")
            program.start()
            wait_until(lambda: states(index) == [JobState.DONE] * 2, PATIENCE_S, "it is delivered as well")
            assert [job.attempts for job in index.jobs.all()] == [1, 1]
    finally:
        worker.stop()
        assert node.stop() == 0
    assert list((tmp_path / "results").rglob("*.dcm"))

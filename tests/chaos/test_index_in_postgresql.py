"""A site whose index is in PostgreSQL: the server goes and comes, and so do node and PACS; nothing is lost.

What a site with SQLite undergoes too, and everything else, is `python -m tests.chaos.campaign`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.hospital import Hospital, reconcile
from tests.chaos.scenarios import SCENARIOS, scenarios_of_postgresql
from tests.postgresql import PostgresServer, find_binaries
from worker.demo.servers import find_program

pytestmark = [
    pytest.mark.skipif(find_program("redis-server") is None, reason="Redis is not installed"),
    pytest.mark.timeout(900),
    # pynetdicom leaves the socket of a refused connection to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (run `make databases`)")
    made = PostgresServer(binaries)
    try:
        made.make()
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def hospital(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    running = Hospital(tmp_path_factory.mktemp("hospital"), index_url=server.new_database("chaos"))
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.mark.parametrize("how", ["restarted", "killed"])
def test_postgresql_that_comes_back_is_used_again_and_nothing_is_lost_or_double(
    hospital: Hospital, server: PostgresServer, tmp_path: Path, how: str
) -> None:
    scenarios_of_postgresql(server)[f"PostgreSQL {how}"](hospital, tmp_path)
    assert reconcile(hospital) == []


@pytest.mark.parametrize("name", ["node killed while a study is receiving", "PACS away for the whole run"])
def test_nothing_is_lost_or_double_with_an_index_in_postgresql(
    hospital: Hospital, tmp_path: Path, name: str
) -> None:
    SCENARIOS[name](hospital, tmp_path)
    assert reconcile(hospital) == []

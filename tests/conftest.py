"""What all tiers share: where real data may lie, and programs that must be installed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.postgresql import PostgresServer, find_binaries
from worker.demo.phantom_studies import WrittenStudy, write_demo_studies
from worker.demo.servers import find_program
from worker.demo.site import Site

ROOT = Path(__file__).resolve().parents[1]
NAME_OF_DATABASE = "index"

# A busy machine must not fail a test: how long an example takes is no property of ours.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def find_real_data() -> Path | None:
    """Return the folder of real DICOM files: MEDVERSA_TEST_DATA, else `shared/data` beside the checkout."""
    named = os.environ.get("MEDVERSA_TEST_DATA")
    for folder in (Path(named) if named else None, ROOT.parent / "shared" / "data"):
        if folder is not None and folder.is_dir():
            return folder
    return None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real DICOM files; tests that need it are skipped where it is absent."""
    folder = find_real_data()
    if folder is None:
        pytest.skip("no real DICOM data: set MEDVERSA_TEST_DATA to a folder that has it")
    return folder


NEEDED_SERVERS = (("Orthanc", "orthanc"), ("redis-server",), ("dcmsend",))


@pytest.fixture(scope="session")
def servers() -> None:
    """Skip where the real servers are not installed."""
    missing = [names[0] for names in NEEDED_SERVERS if find_program(*names) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (run `make servers`)")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A PostgreSQL of this test run; fast, not durable."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (run `make databases`)")
    server = PostgresServer(binaries, durable=False)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgresql_url(postgresql: PostgresServer) -> str:
    """One database in it."""
    return postgresql.new_database(NAME_OF_DATABASE)


@pytest.fixture(params=["sqlite", "postgresql"])
def index_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty index, once in SQLite and once in PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/node.sqlite"
    server: PostgresServer = request.getfixturevalue("postgresql")
    url: str = request.getfixturevalue("postgresql_url")
    server.empty(NAME_OF_DATABASE)
    return url


@pytest.fixture(scope="module")
def site(servers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An archive, a broker, the node and a worker; studies are complete after three quiet seconds."""
    running = Site(tmp_path_factory.mktemp("site"), quiet_period_s=3, lease_s=10)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, WrittenStudy]:
    """The four demonstration studies by title, on disk."""
    return {study.title: study for study in write_demo_studies(tmp_path_factory.mktemp("phantoms"))}

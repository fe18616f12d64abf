"""A disk that is full and a process that is killed: what was answered stays, what was not leaves no trace."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from blake3 import blake3
from pydicom.uid import generate_uid

from dicom_node.database.engine import open_database
from dicom_node.study import JobState
from tests.faults.life import POINTS, settings_in
from tests.faults.raw_peer import CONTEXTS, ECHO_CONTEXT, RJ, RawPeer, associate_rq
from tests.integration.dicom_node.programs import NodeProcess, run
from tests.postgresql import PostgresServer
from tests.unit.dicom_node.arrivals import dataset
from worker.demo.phantom_studies import WrittenStudy

LONG = "MEDVERSA_LONG_TESTS"
PIXELS = 80_000
PAGE = 8192


@dataclass
class SmallDiskNode(NodeProcess):
    """A node with a disk of one megabyte below its data folder, which only it sees by its name."""

    small: str = "instances"
    """The folder that is this disk."""

    def command(self, name: str, *arguments: str) -> list[str]:
        command = super().command(name, *arguments)
        if name != "serve":
            return command
        script = f'mount -t tmpfs -o size=1m tmpfs "{self.data_dir}/{self.small}" && exec "$@"'
        return ["unshare", "-Urm", "sh", "-c", script, "sh", *command]

    @property
    def disk(self) -> Path:
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/root{self.data_dir}/{self.small}")

    @property
    def free_bytes(self) -> int:
        found = os.statvfs(self.disk)
        return found.f_bavail * found.f_frsize

    def leave(self, count: int) -> None:
        """Fill the disk up to a rest of `count` bytes."""
        (self.disk / "filler").unlink(missing_ok=True)
        (self.disk / "filler").write_bytes(bytes(self.free_bytes - count))


@pytest.fixture
def mountable(tmp_path: Path) -> None:
    if run("unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)).returncode != 0:
        pytest.skip("no file system may be mounted here, not even in a namespace of one's own")


@pytest.fixture
def small_disk(mountable: None, tmp_path: Path) -> Iterator[SmallDiskNode]:
    node = SmallDiskNode(tmp_path, extra="min_free_bytes = 0\n", quiet_period_s=600)
    (node.data_dir / "instances").mkdir(parents=True)
    node.start()
    yield node
    assert node.stop() == 0


@pytest.fixture
def small_index(mountable: None, tmp_path: Path) -> Iterator[SmallDiskNode]:
    url = f'database_url = "sqlite:///{tmp_path}/data/index/node.sqlite"\n'
    node = SmallDiskNode(tmp_path, extra=url, quiet_period_s=600, small="index")
    (node.data_dir / "index").mkdir(parents=True)
    node.start()
    yield node
    assert node.stop() == 0


def rejection(peer: RawPeer) -> tuple[int, ...]:
    """Result, source and reason with which the peer's call is rejected."""
    peer.socket.sendall(associate_rq())
    kind, body = peer.read()
    assert kind == RJ
    return tuple(body[1:])


def test_S01_disk_that_fills_within_an_object_costs_that_object_only(small_disk: SmallDiskNode) -> None:
    study = generate_uid()
    with RawPeer(small_disk.port) as peer:
        peer.associate()
        first = dataset(StudyInstanceUID=study, PixelData=bytes(PIXELS))
        assert peer.store(first) == 0x0000
        free = small_disk.free_bytes
        refused = [dataset(StudyInstanceUID=study, PixelData=bytes(PIXELS)) for _ in range(10)]
        for part, ds in enumerate(refused):
            small_disk.leave(part * PAGE)
            assert peer.store(ds) == 0xA700, part
            assert small_disk.free_bytes == part * PAGE
        (small_disk.disk / "filler").unlink()
        assert small_disk.free_bytes == free
        assert peer.store(refused[0]) == 0x0000

    with closing(open_database(f"sqlite:///{small_disk.data_dir}/node.sqlite")) as index:
        kept = {each.sop_instance_uid: each for each in index.instances.of_study(study)}
        assert set(kept) == {first.SOPInstanceUID, refused[0].SOPInstanceUID}
        for each in kept.values():
            path = small_disk.disk / each.path.relative_to(small_disk.data_dir / "instances")
            assert each.digest == "b3:" + blake3(path.read_bytes()[-each.size :]).hexdigest(30)
        assert Counter(refusal.reason.name for refusal in index.refusals.all()) == {"DISK_FULL": 10}


def test_T13_nobody_new_may_send_below_the_low_mark_and_everybody_may_again_above_it(
    mountable: None, tmp_path: Path
) -> None:
    marks = "min_free_bytes = 100_000\nlow_free_bytes = 400_000\nreceivers = 1\n"
    node = SmallDiskNode(tmp_path, extra=marks, quiet_period_s=600)
    (node.data_dir / "instances").mkdir(parents=True)
    node.start()
    with RawPeer(node.port) as sending:
        sending.associate()
        node.leave(399_000)
        with RawPeer(node.port) as late:
            assert rejection(late) == (2, 3, 1)  # PS3.8 9.3.4: transient, presentation related, congestion
        with RawPeer(node.port) as asking:
            asking.associate(associate_rq(contexts={ECHO_CONTEXT: CONTEXTS[ECHO_CONTEXT]}))
            assert asking.echo() == 0x0000
        assert sending.store(dataset(PixelData=bytes(PIXELS))) == 0x0000, "it had begun before"
        node.leave(99_000)
        assert sending.store(dataset(PixelData=bytes(PIXELS))) == 0xA700
        assert not list(node.disk.glob("incoming/*"))
        node.leave(420_000)
        with RawPeer(node.port) as late:
            assert rejection(late) == (2, 3, 1), "a little more is not enough yet"
        (node.disk / "filler").unlink()
        with RawPeer(node.port) as late:
            late.associate()
            assert late.store(dataset(PixelData=bytes(PIXELS))) == 0x0000
    assert node.stop() == 0


def test_S02_index_without_space_refuses_and_goes_on_when_there_is_some(
    small_index: SmallDiskNode, tmp_path: Path
) -> None:
    study = generate_uid()
    sent = [dataset(StudyInstanceUID=study) for _ in range(3)]
    with RawPeer(small_index.port) as peer:
        peer.associate()
        assert peer.store(sent[0]) == 0x0000
        small_index.leave(0)
        refused = [dataset(StudyInstanceUID=study) for _ in range(200)]
        assert 0xA700 in [peer.store(ds) for ds in refused], "the log of the index had room left"
        assert peer.store(sent[1]) == 0xA700
        (small_index.disk / "filler").unlink()
        assert [peer.store(ds) for ds in sent[1:]] == [0x0000] * 2

    # A copy: SQLite would follow the name of the disk to where only the node sees it.
    copy = tmp_path / "copy"
    shutil.copytree(small_index.disk, copy)
    with closing(sqlite3.connect(copy / "node.sqlite")) as index:
        assert index.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        kept = {uid for (uid,) in index.execute("SELECT sop_instance_uid FROM instances")}
    assert {str(ds.SOPInstanceUID) for ds in sent} <= kept
    assert "Traceback" not in small_index.log


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lives(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    phantoms: dict[str, WrittenStudy],
) -> tuple[Path, dict[str, list[int]]]:
    """The folder of each killed life, and how its two processes ended."""
    folder = tmp_path_factory.mktemp("lives")
    if request.param == "postgresql":
        if not os.environ.get(LONG):
            pytest.skip(f"the same with PostgreSQL takes half a minute: set {LONG}=1")
        server: PostgresServer = request.getfixturevalue("postgresql")
        for point in POINTS:
            (folder / f"{point}.index").write_text(server.new_database(point))
    files = [str(path) for path in phantoms["skin lesion"].files]
    command = [sys.executable, "-m", "tests.faults.life", str(folder), *files]
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=root)
    return folder, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("point", POINTS)
def test_S05_life_that_was_killed_anywhere_ends_in_one_set_of_results(
    lives: tuple[Path, dict[str, list[int]]], point: str
) -> None:
    folder, statuses = lives[0] / point, lives[1]
    assert statuses[point] == [-signal.SIGKILL, 0]

    with closing(open_database(settings_in(folder).node.database_url)) as index:
        for uid in set((folder / "ledger").read_text().split()):
            kept = index.instances.get(uid)
            assert kept is not None
            assert kept.digest == "b3:" + blake3(kept.path.read_bytes()[-kept.size :]).hexdigest(30)
        (job,) = index.jobs.all()
        assert job.state is JobState.DONE, (job.reason, job.detail)
        results = index.results.of_job(job.job_id)
        folders = (folder / "data/instances").iterdir()
        known = {path for hour in folders for path in index.instances.files_in(hour)}
        frozen = {result.sop_instance_uid: result.path.read_bytes() for result in results}
    assert {path.stem: path.read_bytes() for path in (folder / "delivered").iterdir()} == frozen
    left = {path for path in (folder / "data/instances").rglob("*.dcm") if path.stat().st_size}
    assert left <= known

"""An index that is locked, damaged, emptied, gone or older than the stored files."""

import os
import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from blake3 import blake3
from pydicom import Dataset
from pydicom.uid import generate_uid

from dicom_node.database.engine import Database, open_database
from dicom_node.study import Reason, StudyState
from tests.driving import wait_until
from tests.faults.raw_peer import RawPeer, echo
from tests.integration.dicom_node.programs import NodeProcess, run
from tests.unit.dicom_node.arrivals import dataset

ANSWER_WITHIN_S = 10
PATIENCE_S = 60


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    running = NodeProcess(tmp_path, extra="max_associations_per_peer = 64\n", quiet_period_s=600).start()
    yield running
    if running.process is not None and running.process.poll() is None:
        assert running.stop() == 0


def database_file(node: NodeProcess) -> Path:
    return node.data_dir / "node.sqlite"


@contextmanager
def index_of(node: NodeProcess) -> Iterator[Database]:
    with closing(open_database(f"sqlite:///{database_file(node)}")) as database:
        yield database


def send(node: NodeProcess, count: int, study: str) -> list[Dataset]:
    series = generate_uid()
    sent = [dataset(StudyInstanceUID=study, SeriesInstanceUID=series) for _ in range(count)]
    with RawPeer(node.port) as peer:
        peer.associate()
        assert [peer.store(ds) for ds in sent] == [0x0000] * count
    return sent


def content_of(node: NodeProcess) -> set[tuple[str, str, str, Path]]:
    """The images of an index, with digest and place."""
    with closing(sqlite3.connect(database_file(node))) as index:
        rows = index.execute(
            "SELECT sop_instance_uid, study_instance_uid, sha256, path FROM instances"
        ).fetchall()
    return {(uid, study, sha256, Path(path)) for uid, study, sha256, path in rows}


def seconds_to_answer(peer: RawPeer) -> tuple[int | None, float]:
    begin = time.monotonic()
    status = peer.store(dataset(StudyInstanceUID=generate_uid()))
    return status, time.monotonic() - begin


def test_S09_locked_index_has_every_sender_refused_in_time_and_then_served(node: NodeProcess) -> None:
    peers = [RawPeer(node.port).associate() for _ in range(50)]
    try:
        with closing(sqlite3.connect(database_file(node), isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with ThreadPoolExecutor(len(peers)) as senders:
                answers = list(senders.map(seconds_to_answer, peers))
            assert echo(node.port) == 0x0000
            other.execute("ROLLBACK")
        assert {status for status, _ in answers} == {0xA700}
        assert max(seconds for _, seconds in answers) < ANSWER_WITHIN_S
        assert {seconds_to_answer(peer)[0] for peer in peers} == {0x0000}
    finally:
        for peer in peers:
            peer.socket.close()

    assert len(content_of(node)) == len(peers)


def spoil_page(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(0, 2)
        middle = opened.tell() // 4096 // 2 * 4096
        opened.seek(middle)
        opened.write(random.Random(10).randbytes(4096))


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("spoil", [spoil_page, empty, Path.unlink])
def test_S10_index_that_cannot_be_trusted_is_refused_and_made_again(
    node: NodeProcess, spoil: "object", tmp_path: Path
) -> None:
    for _ in range(3):
        send(node, 10, generate_uid())
    before = content_of(node)
    assert node.stop() == 0
    assert callable(spoil)
    spoil(database_file(node))

    refused = run(*node.command("serve"))
    assert refused.returncode == 1
    assert "rebuild-index" in refused.stderr
    assert "Traceback" not in refused.stderr

    rebuilt = run(*node.command("rebuild-index"))
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "30 images indexed" in rebuilt.stdout
    assert content_of(node) == before
    node.start()
    assert echo(node.port) == 0x0000


def test_S10_index_of_a_newer_version_is_refused(node: NodeProcess) -> None:
    assert node.stop() == 0
    with closing(sqlite3.connect(database_file(node))) as index:
        index.execute("UPDATE schema_version SET version = version + 1")
        index.commit()

    refused = run(*node.command("serve"))

    assert refused.returncode == 1
    assert "upgrade" in refused.stderr


def test_S11_older_copy_of_the_index_learns_what_came_after_it(node: NodeProcess, tmp_path: Path) -> None:
    send(node, 5, generate_uid())
    assert node.stop() == 0
    shutil.copy(database_file(node), tmp_path / "backup")
    node.start()
    later = generate_uid()
    send(node, 5, later)
    before = content_of(node)
    assert node.stop() == 0
    shutil.copy(tmp_path / "backup", database_file(node))

    rebuilt = run(*node.command("rebuild-index"))

    assert "5 images indexed" in rebuilt.stdout
    assert content_of(node) == before
    with index_of(node) as index:
        # It may have been read before: it is not read, and no result sent, a second time.
        assert index.studies.get(later).state is StudyState.REFERENCE
        assert index.jobs.of_study(index.studies.get(later).study_instance_uid) == []


def test_S11_rebuilding_beside_a_running_node_is_refused(node: NodeProcess) -> None:
    refused = run(*node.command("rebuild-index"))

    assert refused.returncode == 1
    assert "served already" in refused.stderr


def test_S07_torn_files_and_rows_are_found_after_a_start(node: NodeProcess) -> None:
    study = generate_uid()
    sent = send(node, 20, study)
    assert node.stop() == 0
    dice = random.Random(7)
    files = sorted(path for _, _, _, path in content_of(node))
    torn, rowless = files[:6], files[6:9]
    for path in torn:
        with path.open("r+b") as file:
            file.truncate(dice.randrange(path.stat().st_size))
    with closing(sqlite3.connect(database_file(node))) as index:
        for path in rowless:
            index.execute("DELETE FROM instances WHERE path = ?", (str(path),))
            os.utime(path, (0, 0))
        index.commit()
    left_over = files[0].with_name("0" * 32 + ".dcm")
    left_over.write_bytes(b"half a file")
    os.utime(left_over, (0, 0))

    node.start()

    with index_of(node) as index:
        wait_until(lambda: len(index.refusals.all()) == len(torn), PATIENCE_S, "each torn file is visible")
        wait_until(lambda: not left_over.exists(), PATIENCE_S, "what is unfinished is removed")
        assert {refusal.kept_at for refusal in index.refusals.all()} == set(torn)
        assert {refusal.reason for refusal in index.refusals.all()} == {Reason.STORAGE_FAULT}
        kept = index.instances.of_study(study)
        assert {each.path for each in kept} == set(files) - set(torn)
        for each in kept:
            assert each.digest == "b3:" + blake3(each.path.read_bytes()[-each.size :]).hexdigest(30)
    with RawPeer(node.port) as peer:
        peer.associate()
        assert [peer.store(ds) for ds in sent] == [0x0000] * len(sent)
    assert {uid for uid, *_ in content_of(node)} == {str(ds.SOPInstanceUID) for ds in sent}

"""Durability: what happens in which order, what is swept, and what is fenced."""

import errno
import os
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import BasicTextSRStorage, ExplicitVRLittleEndian, SegmentationStorage, generate_uid

from dicom_node.database.engine import Database
from dicom_node.errors import HeaderError, LeaseError, StorageError
from dicom_node.group_commit import GroupCommit
from dicom_node.nesting import check_nesting
from dicom_node.storage import STALE_AFTER_S, InstanceStore, ResultStore, Spool
from dicom_node.study import JobId, Lease, Reason
from tests.unit.dicom_node.arrivals import Sender, dataset
from tests.unit.dicom_node.conftest import TurnedClock
from tests.unit.dicom_node.test_header import nested


def test_S06_name_then_file_then_row_are_made_durable_in_this_order(
    sender: Sender, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, create, admit = os.fsync, os.open, database.instances.admit

    def spy_fsync(descriptor: int) -> None:
        kind = "folder" if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir() else "file"
        steps.append(f"sync {kind}")
        fsync(descriptor)

    def spy_open(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT and "name" not in steps:
            steps.append("name")
        return create(path, flags, mode)

    def spy_admit(arrivals: object) -> object:
        steps.append("row")
        return admit(arrivals)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "open", spy_open)
    sender.intake.commit = GroupCommit(spy_admit)
    sender.send(dataset())
    sender.send(dataset())

    first, second = ["name", "sync folder", "sync file", "row"], ["sync file", "row"]
    assert steps == ["sync folder", *first, *second]  # the very first sync is for the folder of this hour


@pytest.mark.parametrize("index_url", ["sqlite"], indirect=True)
def test_index_commits_are_synced(database: Database) -> None:
    with database.connections.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


@pytest.mark.parametrize("index_url", ["postgresql"], indirect=True)
def test_commits_in_postgresql_are_synced_and_stopped_writers_give_way(database: Database) -> None:
    with database.connections.reading() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
        assert connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one() == "10s"


def test_sweep_removes_old_files_without_a_row_and_nothing_else(
    sender: Sender, store: InstanceStore, database: Database
) -> None:
    sender.send(dataset())
    (kept,) = database.instances.of_study("1.2.3.100")
    stale, live = store.spool.create(), store.spool.create()
    for path in (stale.path, kept.path):
        os.utime(path, (0, 0))

    assert store.spool.sweep(database.instances.files_in) == 1
    assert (stale.path.exists(), live.path.exists(), kept.path.exists()) == (False, True, True)


def test_names_made_ahead_are_given_back(store: InstanceStore, tmp_path: Path) -> None:
    store.spool.create().discard()
    store.spool.close()

    assert [path for path in (tmp_path / "instances").rglob("*") if path.is_file()] == []


def test_names_made_ahead_grow_old_before_a_sweep_takes_them(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.spool.create()
    later = time.monotonic() + STALE_AFTER_S / 2 + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    left_over = set(first.path.parent.iterdir()) - {first.path}

    second = store.spool.create()

    assert second.path not in left_over
    assert not any(path.exists() for path in left_over)


def test_sweep_passes_over_what_a_receiver_discards_meanwhile(
    sender: Sender, store: InstanceStore, database: Database
) -> None:
    sender.send(dataset())
    going, stale = store.spool.create(), store.spool.create()
    os.utime(stale.path, (0, 0))

    class Vanishing(type(going.path)):  # type: ignore[misc] # the concrete class of the platform
        """A folder of which one file goes between its listing and the look at it."""

        def iterdir(self) -> Generator[Path, None, None]:
            listed = sorted(super().iterdir(), key=lambda path: path != going.path)
            going.path.unlink()
            yield from listed

    store.spool.folders = lambda: [Vanishing(going.path.parent)]  # type: ignore[method-assign] # this spool only

    assert store.spool.sweep(database.instances.files_in) == 1
    assert not stale.path.exists()


def test_name_that_was_not_made_durable_is_not_used(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def fail_for_files_names(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").resolve() != store.spool.folder.resolve():
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_for_files_names)
    with pytest.raises(StorageError):
        store.spool.create()
    in_doubt = {path for folder in store.spool.folders() for path in folder.iterdir()}
    assert in_doubt
    monkeypatch.setattr(os, "fsync", fsync)

    assert store.spool.create().path not in in_doubt


def test_folder_that_another_process_has_made_is_made_durable_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Spool(tmp_path / "spool"), Spool(tmp_path / "spool")
    first.create()
    synced: list[Path] = []
    fsync = os.fsync

    def spy_fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").resolve())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    second.create()

    assert (tmp_path / "spool").resolve() in synced


@pytest.fixture
def lease(sender: Sender, database: Database, clock: TurnedClock) -> Lease:
    sender.send(dataset())
    job_id = database.studies.complete(database.studies.get("1.2.3.100"), Reason.QUIET_PERIOD)
    assert job_id is not None
    lease = database.jobs.claim(job_id, "worker 1", 60)
    assert lease is not None
    return lease


def result(modality: str, sop_class_uid: str) -> Dataset:
    ds = dataset(Modality=modality, SOPClassUID=sop_class_uid, PixelData=None)
    ds.SOPInstanceUID = generate_uid()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


@pytest.fixture
def results(tmp_path: Path, database: Database) -> ResultStore:
    return ResultStore(tmp_path, database, destinations=["pacs"])


def test_results_are_frozen_with_the_report_last(
    results: ResultStore, lease: Lease, database: Database
) -> None:
    report, segmentation = result("SR", BasicTextSRStorage), result("SEG", SegmentationStorage)

    kept = results.keep(lease, [report, segmentation])

    assert [r.modality for r in kept] == ["SEG", "SR"]
    assert kept == database.results.of_job(lease.job.job_id)
    assert dcmread(kept[1].path).SOPInstanceUID == report.SOPInstanceUID
    assert [d.destination for d in database.deliveries.pending(lease.job.job_id)] == ["pacs", "pacs"]


def test_second_set_of_results_is_never_kept(results: ResultStore, lease: Lease, tmp_path: Path) -> None:
    first = results.keep(lease, [result("SR", BasicTextSRStorage)])

    again = results.keep(lease, [result("SR", BasicTextSRStorage)])

    assert again == first
    assert len([p for p in (tmp_path / "results").rglob("*.dcm") if p.stat().st_size]) == 1


def test_worker_that_lost_its_lease_keeps_nothing(
    results: ResultStore, lease: Lease, database: Database, clock: TurnedClock
) -> None:
    clock.turn(61)
    database.jobs.sweep(3, 60)

    with pytest.raises(LeaseError):
        results.keep(lease, [result("SR", BasicTextSRStorage)])
    assert database.results.of_job(lease.job.job_id) == ()


def test_results_that_come_back_are_recognised_by_their_uid(
    results: ResultStore, lease: Lease, sender: Sender, database: Database
) -> None:
    report = result("SR", BasicTextSRStorage)
    results.keep(lease, [report])

    outcome = sender.send(report)

    assert outcome.reason is Reason.OWN_RESULT
    assert database.studies.receiving() == []


def test_results_of_a_study_come_newest_last(results: ResultStore, lease: Lease, database: Database) -> None:
    kept = results.keep(lease, [result("SR", BasicTextSRStorage)])

    assert database.results.of_study("1.2.3.100") == kept
    assert database.results.of_job(JobId(99)) == ()


@pytest.mark.parametrize("depth", [33, 200_000])
def test_D05_deep_nesting_is_found_before_a_parser_sees_it(depth: int) -> None:
    with pytest.raises(HeaderError) as caught:
        check_nesting(memoryview(nested(depth)), ExplicitVRLittleEndian)
    assert caught.value.reason is Reason.NESTING


def test_unknown_study_is_an_error(database: Database) -> None:
    with pytest.raises(StorageError):
        database.studies.get("1.2.3.999")

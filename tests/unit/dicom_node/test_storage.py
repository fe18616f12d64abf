"""Durability: what happens in which order, what is swept, and what is fenced."""

import os
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import BasicTextSRStorage, ExplicitVRLittleEndian, SegmentationStorage, generate_uid

from dicom_node.database.engine import Database
from dicom_node.errors import HeaderError, LeaseError, StorageError
from dicom_node.nesting import check_nesting
from dicom_node.storage import InstanceStore, ResultStore
from dicom_node.study import JobId, Lease, Reason
from tests.unit.dicom_node.arrivals import Sender, dataset
from tests.unit.dicom_node.conftest import TurnedClock
from tests.unit.dicom_node.test_header import nested


def test_file_then_name_then_row_are_synced_in_this_order(
    sender: Sender, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, rename, admit = os.fsync, Path.rename, database.instances.admit

    def spy_fsync(descriptor: int) -> None:
        kind = "folder" if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir() else "file"
        steps.append(f"fsync {kind}")
        fsync(descriptor)

    def spy_rename(path: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(path, target)

    def spy_admit(arrivals: object) -> object:
        steps.append("row")
        return admit(arrivals)  # type: ignore[arg-type]

    sender.send(dataset())  # makes the folder of this hour
    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "rename", spy_rename)
    monkeypatch.setattr(database.instances, "admit", spy_admit)
    sender.send(dataset())

    assert steps == ["fsync file", "rename", "fsync folder", "row"]


def test_index_commits_are_synced(database: Database) -> None:
    with database.connections.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


def test_sweep_removes_only_stale_files(store: InstanceStore, tmp_path: Path) -> None:
    stale, live = store.spool.create(), store.spool.create()
    os.utime(stale.path, (0, 0))

    assert store.spool.sweep() == 1
    assert (stale.path.exists(), live.path.exists()) == (False, True)


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
    assert len(list((tmp_path / "results").rglob("*.dcm"))) == 1


def test_worker_that_lost_its_lease_keeps_nothing(
    results: ResultStore, lease: Lease, database: Database, clock: TurnedClock
) -> None:
    clock.turn(61)
    database.jobs.sweep(max_attempts=3, resend_after_s=60)

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
def test_deep_nesting_is_found_before_a_parser_sees_it(depth: int) -> None:
    with pytest.raises(HeaderError) as caught:
        check_nesting(memoryview(nested(depth)), ExplicitVRLittleEndian)
    assert caught.value.reason is Reason.NESTING


def test_unknown_study_is_an_error(database: Database) -> None:
    with pytest.raises(StorageError):
        database.studies.get("1.2.3.999")

"""Where bytes live: durable writing, verified reading.

Files are named by ids of our own, never by anything a peer said. A file is in place only after it and its
name are on stable storage; a row that points to it is written after that, so a row without its file cannot
exist.
"""

import errno
import hashlib
import io
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pydicom import Dataset, dcmread, dcmwrite

from dicom_node.database.engine import Database
from dicom_node.digest import digest_of
from dicom_node.errors import DamagedError, DiskFullError, HeaderError, StorageError
from dicom_node.file_meta import data_set_offset
from dicom_node.nesting import check_nesting
from dicom_node.spool_file import SpoolFile
from dicom_node.study import Instance, JobId, Lease, Reason, SOPInstanceUID, StoredResult, StudyInstanceUID
from dicom_node.unreadable import UNREADABLE

IMAGES = "instances"
"""Folder of what was received, within the data folder."""
SHADOWS = "shadow"
"""Folder of what candidates made of jobs and nobody is sent: a folder for each candidate and job."""
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
LOST = (errno.ENOENT, errno.EIO)
STALE_AFTER_S = 600.0
"""Seconds since its last change after which a file that no row points to belongs to nobody any more."""
SWEPT_FOLDERS = 3
"""Folders (hours) looked at in one sweep, newest first: older ones were swept when they were new."""


def storage_error(exc: OSError) -> StorageError:
    """Translate an error of the operating system; the path, which is ours, may be named."""
    if exc.errno in NO_SPACE:
        return DiskFullError("no space left in the data folder")
    return StorageError(f"the file system failed: {exc.strerror}")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Spool:
    """Where files are written under names that are durable before the first byte.

    To make a name durable costs as much as to make a file durable. So names are made ahead, in batches with
    one folder sync for all, and a file is in place as soon as it is synced. What no row points to is swept.
    """

    def __init__(self, folder: Path, names_ahead: int = 64) -> None:
        self.folder = folder
        self._names_ahead = names_ahead
        self._names: list[Path] = []
        self._fresh_until = 0.0
        self._durable: Path | None = None
        """The folder of this hour, once its name is durable, whoever has made it."""
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def create(self) -> SpoolFile:
        """Begin a file under a durable name.

        Raises:
            StorageError: the operating system refuses.
        """
        try:
            return SpoolFile(self._take_name())
        except OSError as exc:
            raise storage_error(exc) from exc

    def _take_name(self) -> Path:
        with self._lock:
            if time.monotonic() > self._fresh_until:
                self._drop_names()
            if not self._names:
                self._make_names()
            return self._names.pop()

    def _make_names(self) -> None:
        folder = self.folder / f"{datetime.now(UTC):%Y%m%d-%H}"
        if folder != self._durable:
            folder.mkdir(exist_ok=True, mode=0o700)
            sync_folder(self.folder)
            self._durable = folder
        self._fresh_until = time.monotonic() + STALE_AFTER_S / 2
        made: list[Path] = []
        for _ in range(self._names_ahead):
            made.append(folder / f"{uuid4().hex}.dcm")
            os.close(os.open(made[-1], os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        sync_folder(folder)
        self._names = made  # not before: what failed half-way is swept

    def _drop_names(self) -> None:
        for path in self._names:
            path.unlink(missing_ok=True)
        self._names.clear()

    def close(self) -> None:
        """Give back the names that were made ahead."""
        with self._lock:
            self._drop_names()

    def folders(self) -> list[Path]:
        """Return the folders of files, the newest first."""
        return sorted((path for path in self.folder.iterdir() if path.is_dir()), reverse=True)

    def sweep(
        self,
        known_in: Callable[[Path], set[Path]],
        now: float | None = None,
        adopt: Callable[[Path], bool] = lambda path: False,
    ) -> int:
        """Remove what crashed processes left: old files that no row points to; return how many that were.

        Those that `adopt` gives a row stay. Names made ahead are used or dropped in half the time after which
        a file counts as old.
        """
        oldest = (time.time() if now is None else now) - STALE_AFTER_S
        swept = 0
        for folder in self.folders()[:SWEPT_FOLDERS]:
            known = known_in(folder)
            for path in folder.iterdir():
                if path not in known and _is_older(path, oldest) and not adopt(path):
                    path.unlink(missing_ok=True)
                    swept += 1
        return swept


def _is_older(path: Path, oldest: float) -> bool:
    try:
        return path.stat().st_mtime < oldest
    except FileNotFoundError:
        return False  # a receiver has discarded it just now


class InstanceStore:
    """The received instances."""

    def __init__(self, data_dir: Path, database: Database) -> None:
        self.spool = Spool(data_dir / IMAGES)
        self.database = database

    def read(self, instance: Instance) -> Dataset:
        """Read an instance and check that it is what was received.

        Raises:
            DamagedError: the file is gone or altered.
            StorageError: it is nested too deeply or no data set that pydicom can read; with
                `Reason.STORAGE_FAULT` if it could not be opened now.
        """
        try:
            content = instance.path.read_bytes()
        except OSError as exc:
            if exc.errno in LOST:
                raise DamagedError(f"a stored instance is lost: {exc.strerror}") from exc
            raise storage_error(exc) from exc
        data_set = memoryview(content)[data_set_offset(content) :]
        if digest_of(data_set, instance.digest) != instance.digest:
            raise DamagedError("a stored instance is not what was received")
        try:
            check_nesting(data_set, instance.transfer_syntax_uid)
            return dcmread(io.BytesIO(content))
        except HeaderError as exc:
            raise StorageError(str(exc), exc.reason) from exc
        except UNREADABLE as exc:
            reason = Reason.UNREADABLE_HEADER
            raise StorageError(f"a stored instance cannot be parsed ({type(exc).__name__})", reason) from exc


@dataclass(frozen=True, slots=True, eq=False)
class _Frozen:
    """One result object with its bytes."""

    dataset: Dataset
    content: bytes


class ResultStore:
    """The result objects of this node, frozen before anything is sent."""

    def __init__(self, data_dir: Path, database: Database, *, destinations: Sequence[str]) -> None:
        self.spool = Spool(data_dir / "results", names_ahead=4)
        self.database = database
        self.destinations = tuple(destinations)

    def keep(
        self,
        lease: Lease,
        datasets: Sequence[Dataset],
        recipients: Mapping[str, Set[str]] | None = None,
        *,
        faults: Sequence[str] = (),
    ) -> tuple[StoredResult, ...]:
        """Store the results of one job: files first, then all rows in one transaction, the SR last.

        Results that the job has already are returned instead: no second set, no UID with two contents. For
        each of `destinations` the deliveries are planned in the same transaction: of every object, or of
        those whose SOP Instance UIDs `recipients` has under its name, if that is there. With `faults` they
        are held until a person decides.

        Raises:
            LeaseError: the job belongs to another worker now; nothing is kept.
            StorageError: the bytes could not be made durable.
        """
        ordered = sorted(datasets, key=lambda ds: ds.Modality == "SR")
        frozen = [_Frozen(ds, _encode(ds)) for ds in ordered]
        paths = self._write(frozen)
        kept = [
            _stored_result(lease.job.job_id, item, path, ordinal)
            for ordinal, (item, path) in enumerate(zip(frozen, paths, strict=True))
        ]
        plan = {
            name: None if recipients is None else recipients[name]
            for name in self.destinations
            if recipients is None or name in recipients
        }
        stored = self.database.results.keep(lease, kept, plan, faults)
        for path in set(paths) - {result.path for result in stored}:
            path.unlink(missing_ok=True)
        return stored

    def freeze(self, job_id: JobId, ds: Dataset) -> StoredResult:
        """Put one more result of a job on stable storage; the caller writes its row, or removes it again.

        Raises:
            StorageError: the bytes could not be made durable.
        """
        frozen = _Frozen(ds, _encode(ds))
        (path,) = self._write([frozen])
        return _stored_result(job_id, frozen, path, ordinal=0)

    def _write(self, frozen: Sequence[_Frozen]) -> list[Path]:
        paths: list[Path] = []
        for item in frozen:
            file = self.spool.create()
            try:
                file.write(item.content)
                file.sync()
            except OSError as exc:
                file.discard()
                raise storage_error(exc) from exc
            paths.append(file.path)
        return paths


def _encode(ds: Dataset) -> bytes:
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def _stored_result(job_id: JobId, item: _Frozen, path: Path, ordinal: int) -> StoredResult:
    ds = item.dataset
    return StoredResult(
        job_id=job_id,
        sop_instance_uid=SOPInstanceUID(str(ds.SOPInstanceUID)),
        sop_class_uid=str(ds.SOPClassUID),
        series_instance_uid=ds.SeriesInstanceUID,
        study_instance_uid=StudyInstanceUID(str(ds.StudyInstanceUID)),
        modality=str(ds.Modality),
        series_description=str(ds.get("SeriesDescription", "")),
        path=path,
        sha256=hashlib.sha256(item.content).hexdigest(),
        ordinal=ordinal,
    )

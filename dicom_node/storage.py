"""Where bytes live: durable writing, verified reading.

Files are named by ids of our own, never by anything a peer said. A file is in place only after it and its
name are on stable storage; a row that points to it is written after that, so a row without its file cannot
exist.
"""

import errno
import hashlib
import io
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

from pydicom import Dataset, dcmread, dcmwrite
from pydicom.errors import InvalidDicomError

from dicom_node.database.engine import Database
from dicom_node.errors import DiskFullError, HeaderError, StorageError
from dicom_node.file_meta import data_set_offset
from dicom_node.nesting import check_nesting
from dicom_node.study import Instance, Lease, SOPInstanceUID, StoredResult, StudyInstanceUID

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
STALE_AFTER = timedelta(minutes=10)
"""Age at which an unfinished file belongs to nobody any more."""


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


class SpoolFile:
    """One file being written; it has no name that anybody would look for until it is put in place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        while len(view):
            written = os.write(self._descriptor, view)
            self.size += written
            view = view[written:]

    def read_at(self, offset: int, length: int) -> bytes:
        return os.pread(self._descriptor, length, offset)

    def sync(self) -> None:
        """Make the content durable and close the file."""
        os.fsync(self._descriptor)
        self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)


class Spool:
    """A folder of files that are complete and durable, and one of those that are being written."""

    def __init__(self, folder: Path, incoming: Path) -> None:
        self.folder = folder
        self._incoming = incoming
        self._made: set[Path] = set()
        for made in (folder, incoming):
            made.mkdir(parents=True, exist_ok=True, mode=0o700)

    def create(self) -> SpoolFile:
        """Begin a file.

        Raises:
            StorageError: the operating system refuses.
        """
        try:
            return SpoolFile(self._incoming / f"{uuid4().hex}.part")
        except OSError as exc:
            raise storage_error(exc) from exc

    def put_in_place(self, files: Sequence[SpoolFile], at: datetime) -> list[Path]:
        """Give synced files their final names and make these durable: one folder sync for all of them.

        Raises:
            StorageError: the operating system refuses; no file is in place then that a row points to.
        """
        folder = self.folder / f"{at:%Y%m%d-%H}"
        try:
            if folder not in self._made:
                folder.mkdir(exist_ok=True, mode=0o700)
                sync_folder(self.folder)
                self._made.add(folder)
            paths = [folder / f"{file.path.stem}.dcm" for file in files]
            for file, path in zip(files, paths, strict=True):
                file.path.rename(path)
            sync_folder(folder)
        except OSError as exc:
            raise storage_error(exc) from exc
        return paths

    def sweep(self, now: float | None = None) -> int:
        """Remove what crashed processes left half written; return how many files that were."""
        oldest = (time.time() if now is None else now) - STALE_AFTER.total_seconds()
        stale = [path for path in self._incoming.glob("*.part") if path.stat().st_mtime < oldest]
        for path in stale:
            path.unlink(missing_ok=True)
        return len(stale)


class InstanceStore:
    """The received instances."""

    def __init__(self, data_dir: Path, database: Database) -> None:
        self.spool = Spool(data_dir / "instances", data_dir / "incoming")
        self.database = database

    def read(self, instance: Instance) -> Dataset:
        """Read an instance and check that it is what was received.

        Raises:
            StorageError: the file is gone, altered, nested too deeply or no data set that pydicom can read.
        """
        try:
            content = instance.path.read_bytes()
        except OSError as exc:
            raise storage_error(exc) from exc
        data_set = memoryview(content)[data_set_offset(content) :]
        if hashlib.sha256(data_set).hexdigest() != instance.sha256:
            raise StorageError("a stored instance is not what was received")
        try:
            check_nesting(data_set, instance.transfer_syntax_uid)
            return dcmread(io.BytesIO(content))
        except HeaderError as exc:
            raise StorageError(str(exc), exc.reason) from exc
        except (InvalidDicomError, OSError, ValueError, KeyError, NotImplementedError, AttributeError) as exc:
            raise StorageError(f"a stored instance cannot be parsed ({type(exc).__name__})") from exc


@dataclass(frozen=True, slots=True, eq=False)
class _Frozen:
    """One result object with its bytes."""

    dataset: Dataset
    content: bytes


class ResultStore:
    """The result objects of this node, frozen before anything is sent."""

    def __init__(self, data_dir: Path, database: Database, *, destinations: Sequence[str]) -> None:
        self.spool = Spool(data_dir / "results", data_dir / "incoming")
        self.database = database
        self.destinations = tuple(destinations)

    def keep(self, lease: Lease, datasets: Sequence[Dataset]) -> tuple[StoredResult, ...]:
        """Store the results of one job: files first, then all rows in one transaction, the SR last.

        Results that the job has already are returned instead: no second set, no UID with two contents. For
        each of `destinations` the deliveries are planned in the same transaction.

        Raises:
            LeaseError: the job belongs to another worker now; nothing is kept.
            StorageError: the bytes could not be made durable.
        """
        ordered = sorted(datasets, key=lambda ds: ds.Modality == "SR")
        frozen = [_Frozen(ds, _encode(ds)) for ds in ordered]
        paths = self._write(frozen)
        kept = [
            _stored_result(lease, item, path, ordinal)
            for ordinal, (item, path) in enumerate(zip(frozen, paths, strict=True))
        ]
        stored = self.database.results.keep(lease, kept, self.destinations)
        for path in set(paths) - {result.path for result in stored}:
            path.unlink(missing_ok=True)
        return stored

    def _write(self, frozen: Sequence[_Frozen]) -> list[Path]:
        files: list[SpoolFile] = []
        try:
            for item in frozen:
                files.append(file := self.spool.create())
                file.write(item.content)
                file.sync()
            return self.spool.put_in_place(files, self.database.connections.now())
        except OSError as exc:
            raise storage_error(exc) from exc


def _encode(ds: Dataset) -> bytes:
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def _stored_result(lease: Lease, item: _Frozen, path: Path, ordinal: int) -> StoredResult:
    ds = item.dataset
    return StoredResult(
        job_id=lease.job.job_id,
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

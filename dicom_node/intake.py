"""Takes instances in: bytes to the spool as they come, then file, name and row durable, then the answer."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dicom_node import file_meta
from dicom_node.admission import (
    Admission,
    Arrival,
    Disposition,
    StoreCommand,
    check_command,
    check_header,
)
from dicom_node.database.engine import Database
from dicom_node.digest import Digest
from dicom_node.dimse_status import SUCCESS, quarantined_with, refused_with
from dicom_node.errors import DiskFullError, HeaderError, IdentityError, IndexAwayError, StorageError
from dicom_node.group_commit import GroupCommit
from dicom_node.header import Header, peek
from dicom_node.spool_file import SpoolFile
from dicom_node.storage import InstanceStore, storage_error
from dicom_node.study import (
    Instance,
    Reason,
    Refusal,
    SeriesInstanceUID,
    SOPInstanceUID,
    StudyInstanceUID,
)
from dicom_node.uids import sanitized

logger = logging.getLogger(__name__)


Register = Callable[[Arrival], Admission]
"""Gives an instance whose bytes are durable its row; durable on return. Raises StorageError."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the taking in of one instance ended."""

    status: int
    """DIMSE status for the sender."""
    disposition: Disposition | None
    """None if it was refused."""
    reason: Reason | None
    study_instance_uid: str = ""
    series_instance_uid: str = ""


class Intake:
    """The door for every instance, whether sent to us or fetched by us; safe for any number of threads."""

    def __init__(self, store: InstanceStore, database: Database, min_free_bytes: int = 0) -> None:
        self._store = store
        self.database = database
        self._min_free_bytes = min_free_bytes
        self.commit: GroupCommit[Arrival, Admission] = GroupCommit(database.instances.admit)
        """Gives arrivals their rows, many in one transaction. Raises StorageError."""

    def begin(self, command: StoreCommand, register: Register | None = None) -> "Reception":
        """Begin one instance; never raises: what is wrong is said by `Reception.finish`.

        `register` gives it its row where that is not for this process to do.
        """
        reception = Reception(self, command, register or self.commit)
        try:
            check_command(command)
            self._check_space()
            reception.file = self._store.spool.create()
            meta = file_meta.encode(
                command.sop_class_uid,
                command.sop_instance_uid,
                command.transfer_syntax_uid,
                command.calling_ae_title,
            )
            reception.begin_file(meta)
        except (IdentityError, StorageError) as exc:
            reception.fail(exc)
        except OSError as exc:
            reception.fail(storage_error(exc))
        return reception

    @property
    def folder(self) -> Path:
        """Where bytes are written."""
        return self._store.spool.folder

    def now(self) -> datetime:
        return self.database.connections.now()

    def _check_space(self) -> None:
        if self._min_free_bytes and shutil.disk_usage(self.folder).free < self._min_free_bytes:
            raise DiskFullError("less free space than min_free_bytes")

    def refuse(
        self, command: StoreCommand, header: Header | None, error: Exception, reason: Reason
    ) -> Outcome:
        """Write down why an instance is refused; without an index the log has to do."""
        status = refused_with(reason)
        refusal = Refusal(
            sop_instance_uid=sanitized(command.sop_instance_uid),
            study_instance_uid=sanitized(header.study_instance_uid) if header is not None else "",
            reason=reason,
            detail=str(error),
            dimse_status=status,
            kept_at=None,
            calling_ae_title=command.calling_ae_title,
            at=self.now(),
        )
        logger.warning("instance refused", extra={"reason": reason.name, "dimse_status": f"0x{status:04X}"})
        if isinstance(error, IndexAwayError):
            return Outcome(status, None, reason)  # a second wait for it would keep the sender waiting
        try:
            self.database.refusals.add(refusal)
        except StorageError:
            logger.exception("refusal could not be written down")
        return Outcome(status, None, reason)


class Reception:
    """One instance on its way in. `write` and `finish` never raise; `finish` always has an answer."""

    def __init__(self, intake: Intake, command: StoreCommand, register: Register) -> None:
        self._intake = intake
        self._command = command
        self._register = register
        self._digest = Digest()
        self._meta_size = 0
        self._error: IdentityError | StorageError | None = None
        self.file: SpoolFile | None = None

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return 0 if self.file is None else self.file.size

    def begin_file(self, meta: bytes) -> None:
        assert self.file is not None  # noqa: S101 - set by the caller
        self.file.write(meta)
        self._meta_size = self.file.size

    def fail(self, error: IdentityError | StorageError) -> None:
        """Remember what went wrong and drop the bytes: the rest of the data set is read and thrown away."""
        self._error = error
        self.abort()

    def write(self, fragment: bytes | memoryview) -> None:
        """Take the next bytes of the data set."""
        if self.file is None:
            return
        try:
            self.file.write(fragment)
        except OSError as exc:
            self.fail(storage_error(exc))
            return
        self._digest.update(fragment)

    def room(self, most: int) -> memoryview | None:
        """Return where the next bytes of the data set may be put; None if they are not kept."""
        return None if self.file is None else self.file.room(most)

    def advance(self, fragment: memoryview) -> None:
        """Take what was put into the front of `room`."""
        if self.file is None:
            return
        self._digest.update(fragment)
        try:
            self.file.advance(len(fragment))
        except OSError as exc:
            self.fail(storage_error(exc))

    def abort(self) -> None:
        """Forget the instance: the association ended or something failed before it was complete."""
        file, self.file = self.file, None
        if file is not None:
            file.discard()

    def finish(self) -> Outcome:
        """Make the instance ours and return the answer for the sender."""
        header: Header | None = None
        try:
            if self._error is not None or self.file is None:
                raise self._error or StorageError("the data set was not written")
            header = self._peek(self.file)
            fault = check_header(self._command, header)
            admission = self._commit(self.file, header, fault)
        except (HeaderError, IdentityError, StorageError) as exc:
            self.abort()
            return self._intake.refuse(self._command, header, exc, exc.reason)
        return self._outcome(admission, header)

    def _peek(self, file: SpoolFile) -> Header:
        start = self._meta_size

        def read_at(offset: int, length: int) -> bytes:
            return file.read_at(start + offset, length)

        return peek(read_at, file.size - start, self._command.transfer_syntax_uid)

    def _commit(self, file: SpoolFile, header: Header, fault: Reason | None) -> Admission:
        size, digest = file.size - self._meta_size, self._digest.text()
        try:
            file.write_at(self._meta_size - file_meta.SEAL_BYTES, file_meta.seal(size, digest))
            file.sync()
        except OSError as exc:
            raise storage_error(exc) from exc
        command = self._command
        instance = Instance(
            sop_instance_uid=SOPInstanceUID(command.sop_instance_uid),
            sop_class_uid=command.sop_class_uid,
            series_instance_uid=SeriesInstanceUID(header.series_instance_uid),
            study_instance_uid=StudyInstanceUID(header.study_instance_uid),
            transfer_syntax_uid=command.transfer_syntax_uid,
            modality=header.modality,
            path=file.path,
            digest=digest,
            size=size,
            origin=command.origin,
            received_at=self._intake.now(),
        )
        # From here on the file may have a row. If it has none after all, the sweep finds it.
        self.file = None
        admission = self._register(Arrival(instance, header, command.calling_ae_title, fault))
        if admission.disposition is Disposition.DUPLICATE:
            file.discard()
        return admission

    def _outcome(self, admission: Admission, header: Header) -> Outcome:
        uid, series_uid = header.study_instance_uid, header.series_instance_uid
        if admission.disposition is Disposition.KEPT:
            return Outcome(SUCCESS, Disposition.KEPT, admission.reason, uid, series_uid)
        reason = admission.reason or Reason.INTERNAL
        status = SUCCESS if reason is Reason.DUPLICATE else quarantined_with(reason)
        extra = {"reason": reason.name, "disposition": admission.disposition.value}
        logger.info("instance not filed as new", extra=extra)
        return Outcome(status, admission.disposition, reason, uid, series_uid)

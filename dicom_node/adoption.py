"""Files and index after a crash or a loss: every complete file has a row, every row has its file.

A file is sealed with length and digest of its data set before it is made durable. So it tells by itself that
it did not break off, and can be indexed again.
"""

import logging
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from dicom_node.admission import Arrival, Disposition, StoreCommand, check_header
from dicom_node.database.engine import Database
from dicom_node.digest import digest_of_rest
from dicom_node.errors import HeaderError, IdentityError
from dicom_node.file_meta import MOST_META, end_of_meta, read_meta, read_seal
from dicom_node.header import peek
from dicom_node.storage import SWEPT_FOLDERS, InstanceStore
from dicom_node.study import Instance, Origin, SeriesInstanceUID, SOPInstanceUID, StudyInstanceUID

logger = logging.getLogger(__name__)

CRASH_WINDOW: Final = timedelta(minutes=1)
"""What was received within this time before the last instance is read again after a start."""
AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became of files without a row."""

    indexed: int = 0
    known: int = 0
    """Copies of what the index has already; they were removed."""
    contradicting: int = 0
    """Another content under an identifier that the index has; untouched."""
    incomplete: int = 0
    """Broken off, or altered; untouched."""

    def __add__(self, other: "Adopted") -> "Adopted":
        return Adopted(*map(sum, zip(astuple(self), astuple(other), strict=True)))


def arrival_from(path: Path) -> Arrival | None:
    """Read a file of the spool as if it arrived now; None if it is not complete and unaltered.

    It comes as something to compare with (`Origin.RETRIEVED`): it may have been read, and its results been
    sent, before the index was lost. If it is routed here again, it is read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(MOST_META)
            start = end_of_meta(head)
            seal = None if start is None else read_seal(head[:start])
            if start is None or seal is None or path.stat().st_size - start != seal[0]:
                return None
            file.seek(start)
            if digest_of_rest(file, seal[1]) != seal[1]:
                return None

            def read_at(offset: int, length: int) -> bytes:
                file.seek(start + offset)
                return file.read(length)

            meta = read_meta(head[:start])
            header = peek(read_at, seal[0], meta.transfer_syntax_uid)
        fault = check_header(
            StoreCommand(meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax_uid, ""), header
        )
    except (OSError, ValueError, HeaderError, IdentityError):
        return None
    instance = Instance(
        sop_instance_uid=SOPInstanceUID(meta.sop_instance_uid),
        sop_class_uid=meta.sop_class_uid,
        series_instance_uid=SeriesInstanceUID(header.series_instance_uid),
        study_instance_uid=StudyInstanceUID(header.study_instance_uid),
        transfer_syntax_uid=meta.transfer_syntax_uid,
        modality=header.modality,
        path=path,
        digest=seal[1],
        size=seal[0],
        origin=Origin.RETRIEVED,
        received_at=datetime.fromtimestamp(path.stat().st_mtime, UTC),
    )
    return Arrival(instance, header, "", fault)


def adopt(database: Database, paths: Iterable[Path]) -> Adopted:
    """Give files without a row their rows; remove those that are copies of what has one."""
    total, waiting = Adopted(), list[Arrival]()
    for path in paths:
        arrival = arrival_from(path)
        if arrival is None:
            total += Adopted(incomplete=1)
        else:
            waiting.append(arrival)
        if len(waiting) == AT_ONCE:
            total += _admit(database, waiting)
            waiting.clear()
    return total + _admit(database, waiting)


def _admit(database: Database, arrivals: list[Arrival]) -> Adopted:
    total = Adopted()
    admissions = database.instances.admit(arrivals) if arrivals else []
    for arrival, admission in zip(arrivals, admissions, strict=True):
        if admission.disposition is not Disposition.DUPLICATE:
            total += Adopted(indexed=1)
            continue
        known = database.instances.get(arrival.instance.sop_instance_uid)
        if known is not None and known.digest == arrival.instance.digest:
            arrival.instance.path.unlink(missing_ok=True)
            total += Adopted(known=1)
        else:
            total += Adopted(contradicting=1)
    return total


def sweep(store: InstanceStore, now: float | None = None) -> int:
    """Remove what crashed processes left unfinished, and index what they left complete; return how many."""
    adopted = 0

    def has_row_now(path: Path) -> bool:
        nonlocal adopted
        if not path.stat().st_size:
            return False
        found = adopt(store.database, [path])
        adopted += found.indexed
        return bool(found.indexed or found.contradicting)

    swept = store.spool.sweep(store.database.instances.files_in, now, has_row_now)
    if swept or adopted:
        extra = {"removed": swept, "indexed": adopted}
        logger.warning("files of a crashed process removed or indexed", extra=extra)
    return adopted


def scrub(store: InstanceStore) -> int:
    """Look after a start whether recent files are what was received; return how many are not.

    Lengths of the newest folders, and digests of what came last: what a loss of power can have spoiled. An
    instance whose file is damaged is out of use, and `status` shows it.
    """
    instances = [
        instance
        for folder in store.spool.folders()[:SWEPT_FOLDERS]
        for instance in store.database.instances.in_folder(folder)
    ]
    last = max((instance.received_at for instance in instances), default=datetime.now(UTC))
    damaged = 0
    for instance in instances:
        if not _is_whole(instance, is_last=last - instance.received_at < CRASH_WINDOW):
            damaged += 1
            detail = "its file is damaged: have it sent again"
            store.database.refusals.lose_instance(instance.sop_instance_uid, detail)
    if damaged:
        logger.error("stored files are damaged", extra={"count": damaged})
    return damaged


def _is_whole(instance: Instance, *, is_last: bool) -> bool:
    try:
        with instance.path.open("rb") as file:
            start = end_of_meta(file.read(MOST_META))
            if start is None or instance.path.stat().st_size - start != instance.size:
                return False
            file.seek(start)
            return not is_last or digest_of_rest(file, instance.digest) == instance.digest
    except (OSError, HeaderError):
        return False

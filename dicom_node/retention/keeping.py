"""Removes studies whose time is over, and deletes the files of what was removed."""

import logging
import threading
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from dicom_node.database.engine import Database
from dicom_node.database.removals import Removed
from dicom_node.errors import DecisionError, StorageError
from dicom_node.retention.steadiness import Steadiness
from dicom_node.settings import NodeSettings
from dicom_node.storage import SHADOWS, sync_folder

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 3600.0
FILES_AT_ONCE: Final = 500
IN_USE: Final = timedelta(hours=2)
"""How long a folder, which is named by its hour, may still get files."""


class Keeper:
    """Keeps studies for as long as the configuration says."""

    def __init__(
        self, settings: NodeSettings, database: Database, counted_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._days = settings.retention.days
        self._data_dir = settings.node.data_dir
        self._database = database
        self._clock = Steadiness(database.connections.now, counted_s)

    def run(self, stop: threading.Event) -> None:
        """Look once an hour until told to stop."""
        while True:
            try:
                self.look(stop)
            except StorageError:
                logger.exception("the index cannot be used; trying again")
            if stop.wait(LOOK_EVERY_S):
                return

    def look(self, stop: threading.Event) -> int:
        """Remove what is due, one study after the other; return how many that were.

        Raises:
            StorageError: the index cannot be used.
        """
        delete_files(self._database)  # of those whose removal was interrupted
        if self._days is None or not self._clock.is_trusted():
            return 0
        removals, count = self._database.removals, 0
        before = self._database.connections.now() - timedelta(days=self._days)
        self._database.commitments.forget(before)
        for uid in removals.old(before):
            if stop.is_set():
                break
            if removals.obstacle(uid):
                continue
            try:
                remove(self._database, self._data_dir, uid, f"nothing new for {self._days:g} days")
            except DecisionError:
                continue  # something of it has come just now
            count += 1
        if count:
            removals.clear_log()
            logger.info("studies removed", extra={"count": count, "days": self._days})
        return count


def remove(database: Database, data_dir: Path, study_instance_uid: str, why: str) -> Removed:
    """Forget a study and delete its files; `why` is for the history, without patient data.

    Raises:
        DecisionError: it is not known here, or something stands in the way; the message says what.
        StorageError: the index cannot be used.
    """
    jobs = database.jobs.of_study(study_instance_uid)
    shadows = [path for job in jobs for path in (data_dir / SHADOWS).glob(f"*/{job.job_id}/*.dcm")]
    removed = database.removals.forget(study_instance_uid, why, shadows)
    delete_files(database)
    return removed


def delete_files(database: Database) -> None:
    """Delete the files of what was forgotten; what cannot be deleted now is tried again another time.

    Raises:
        StorageError: the index cannot be used.
    """
    while paths := database.removals.files(FILES_AT_ONCE):
        gone = _deleted(paths)
        database.removals.deleted(gone)
        if len(gone) < len(paths):
            logger.error("files cannot be deleted", extra={"count": len(paths) - len(gone)})
            return


def _deleted(paths: Collection[Path]) -> list[Path]:
    """Delete files for good: a name that a loss of power brings back would be a file that nobody knows."""
    gone: list[Path] = []
    for folder in {path.parent for path in paths}:
        names = [path for path in paths if path.parent == folder]
        try:
            for path in names:
                path.unlink(missing_ok=True)
            if folder.exists():
                _close(folder)
        except OSError:
            logger.exception("a folder cannot be tidied")
        else:
            gone += names
    return gone


def _close(folder: Path) -> None:
    is_past = folder.name < f"{datetime.now(UTC) - IN_USE:%Y%m%d-%H}"
    if is_past and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
    sync_folder(folder)

"""The node's process: listener, completion and dispatch together."""

import fcntl
import itertools
import logging
import os
import threading
from pathlib import Path
from typing import IO

from dicom_node.completion import is_complete
from dicom_node.database.engine import Database, open_database
from dicom_node.dispatch import Dispatcher
from dicom_node.errors import AlreadyServedError, StorageError
from dicom_node.intake import Intake
from dicom_node.normalized_services import services_of
from dicom_node.routing import why_not_applicable
from dicom_node.scp import StorageSCP
from dicom_node.settings import NodeSettings
from dicom_node.storage import InstanceStore
from dicom_node.study import Reason, Study

logger = logging.getLogger(__name__)

SWEEP_EVERY_S = 5.0
SWEEP_SPOOL_EVERY_S = 3600.0
TICKS_PER_QUIET_PERIOD = 10
LONGEST_TICK_S = 1.0


def lock_data_dir(data_dir: Path) -> IO[str]:
    """Make a data folder ours alone until the returned file is closed or the process ends.

    Raises:
        AlreadyServedError: another process has it.
    """
    lock = (data_dir / "serve.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        lock.seek(0)
        owner = lock.read().strip() or "?"
        lock.close()
        raise AlreadyServedError(f"{data_dir} is served already, by process {owner}") from exc
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


class NodeService:
    """Everything that `medversa-node serve` runs."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        data_dir = settings.node.data_dir
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = lock_data_dir(data_dir)
        self.database: Database = open_database(settings.node.database_url)
        self.store = InstanceStore(data_dir, self.database)
        self.intake = Intake(self.store, self.database, settings.node.min_free_bytes)
        self._scp = StorageSCP(settings.node, self.intake, services_of(self.database))
        self._dispatcher = Dispatcher(settings, self.database)
        self._stop = threading.Event()
        self._due = threading.Event()
        """Set when a job is due before the next sweep."""

    def run(self) -> None:
        """Serve until `stop`; everything answered with success before that is kept.

        Raises:
            NodeError: it cannot listen.
        """
        self._scp.start()
        # On a thread of its own: a broker that does not answer must not hold up the completion of studies.
        dispatching = threading.Thread(target=self._dispatch, name="dispatch")
        dispatching.start()
        try:
            self._watch()
        finally:
            logger.info("stopping")
            self._scp.stop()
            self._due.set()
            dispatching.join()
            self.store.spool.close()
            self.database.close()
            self._lock.close()

    def stop(self) -> None:
        self._stop.set()

    def _sweep_spool(self) -> None:
        swept = self.store.spool.sweep(self.database.instances.files_in)
        if swept:
            logger.warning("files of a crashed process removed", extra={"count": swept})

    def _watch(self) -> None:
        tick_s = min(LONGEST_TICK_S, self._settings.node.quiet_period_s / TICKS_PER_QUIET_PERIOD)
        ticks_per_sweep = round(SWEEP_SPOOL_EVERY_S / tick_s)
        for tick in itertools.count():
            try:
                self.complete_studies()
                if tick % ticks_per_sweep == 0:
                    self._sweep_spool()
            except StorageError:
                logger.exception("the index cannot be used; trying again")
            if self._stop.wait(tick_s):
                return

    def _dispatch(self) -> None:
        while not self._stop.is_set():
            self._due.clear()
            try:
                self._dispatcher.sweep()
            except StorageError:
                logger.exception("the index cannot be used; trying again")
            self._due.wait(SWEEP_EVERY_S)

    def complete_studies(self) -> None:
        """Close every study that is complete and send its job, or say why it has none."""
        now = self.database.connections.now()
        for study in self.database.studies.receiving():
            is_open = study.study_instance_uid in self.intake.open_studies
            quiet_period_s = self._settings.node.quiet_period_s
            if is_complete(study.last_received_at, now, quiet_period_s, is_open=is_open):
                self._complete(study)

    def _complete(self, study: Study) -> None:
        reason = why_not_applicable(self.database.instances.of_study(study.study_instance_uid))
        if reason is not None:
            self.database.studies.set_aside(study, reason)
            return
        job_id = self.database.studies.complete(study, Reason.QUIET_PERIOD)
        if job_id is not None:
            logger.info("study complete", extra={"job_id": job_id, "instances": study.instance_count})
            self._due.set()

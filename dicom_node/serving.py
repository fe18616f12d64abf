"""The node's process: the port, the index, completion and dispatch together; data go to the receivers."""

import fcntl
import itertools
import logging
import os
import threading
from functools import partial
from pathlib import Path
from typing import IO

from dicom_node.adoption import scrub, sweep
from dicom_node.callers import is_known_address
from dicom_node.completing import StudyCompleter
from dicom_node.database.connections import OneWriter
from dicom_node.database.engine import Database, open_database
from dicom_node.database.health import check_index
from dicom_node.database.instances import InstanceRepository
from dicom_node.dispatch import Dispatcher
from dicom_node.errors import AlreadyServedError, NodeError, StorageError
from dicom_node.orders.asking import OrderFinder
from dicom_node.receivers.crew import Crew
from dicom_node.receivers.front import Front
from dicom_node.receivers.registrar import Registrar
from dicom_node.receivers.visits import Visits
from dicom_node.rejections import act_on_notes
from dicom_node.retention.keeping import Keeper
from dicom_node.settings import NodeSettings
from dicom_node.storage import IMAGES, InstanceStore
from dicom_node.storage_commitment.providing import CommitmentReporter
from dicom_node.tls import TlsListening

logger = logging.getLogger(__name__)

SWEEP_EVERY_S = 5.0
SWEEP_SPOOL_EVERY_S = 3600.0
TICKS_PER_QUIET_PERIOD = 10
LONGEST_TICK_S = 1.0
PATIENCE_WITH_ASSOCIATIONS_S = 20.0
"""How long open associations may go on once the node is told to stop."""


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


PARTS = frozenset(
    {"front", "registrar", "receiver", "dispatch", "commitment", "orders", "counting", "retention"}
)
"""First words of the names of threads without which the node is none."""


class NodeService:
    """Everything that `medversa-node serve` runs."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        node = settings.node
        if node.tls is not None:
            TlsListening(node.tls)  # each receiver makes its own: what is wrong with the files is told here
        self._visits = Visits(
            node.max_associations,
            node.max_associations_per_peer,
            partial(is_known_address, callers=node.callers),
        )
        self._crew = Crew(settings, self._visits.of_receiver)
        data_dir = node.data_dir
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = lock_data_dir(data_dir)
        check_index(node.database_url, data_dir / IMAGES)
        self.database: Database = open_database(node.database_url)
        self.store = InstanceStore(data_dir, self.database)
        self._writer = OneWriter(self.database.connections.engine, self.database.connections.now)
        self._registrar = Registrar(InstanceRepository(self._writer), self._visits)
        self._front = Front(self._visits, self._registrar, self._crew)
        self._dispatcher = Dispatcher(settings, self.database)
        self._stop = threading.Event()
        self._due = threading.Event()
        """Set when a job is due before the next sweep."""
        self._orders = OrderFinder(settings, self.database)
        self._completer = StudyCompleter(
            settings, self.database, self._visits.bring, self._due.set, self._orders.want
        )
        self._lost_part = ""

    def run(self) -> None:
        """Serve until `stop`; everything answered with success before that is kept.

        Raises:
            NodeError: it cannot listen, or one of its threads has failed.
        """
        threading.excepthook = self._end_of_a_part
        self._open_door()
        # On a thread of its own: a broker that does not answer must not hold up the completion of studies.
        dispatching = threading.Thread(target=self._dispatch, name="dispatch")
        dispatching.start()
        reporter = CommitmentReporter(self._settings.modalities, self.database)
        keeper = Keeper(self._settings, self.database)
        others = [
            threading.Thread(target=reporter.run, args=(self._stop,), name="commitment"),
            threading.Thread(target=self._orders.run, args=(self._stop,), name="orders"),
            threading.Thread(target=self._completer.count, args=(self._stop,), name="counting"),
            threading.Thread(target=keeper.run, args=(self._stop,), name="retention"),
        ]
        for thread in others:
            thread.start()
        try:
            self._watch()
        finally:
            logger.info("stopping")
            self._stop.set()
            self._close_door()
            self._due.set()
            dispatching.join()
            for thread in others:
                thread.join()
            self.store.spool.close()
            self._writer.close()
            self.database.close()
            self._lock.close()
        if self._lost_part:
            raise NodeError(f"the thread {self._lost_part} has ended in an unforeseen way: the log says how")

    def _end_of_a_part(self, args: threading.ExceptHookArgs) -> None:
        """End the node, to be started again: without one of its parts it would look well and do nothing.

        A thread of the library, which ends with its association, is no part.
        """
        name = "" if args.thread is None else args.thread.name
        if name.partition(" ")[0] not in PARTS:
            threading.__excepthook__(args)
            return
        self._lost_part = name
        fault = (args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
        logger.critical(
            "a part of the node has failed; it ends", extra={"part": self._lost_part}, exc_info=fault
        )
        self.stop()

    def stop(self) -> None:
        self._stop.set()

    def _open_door(self) -> None:
        self._front.bind(self._settings.node.host, self._settings.node.port)
        self._crew.start()
        self._registrar.start()
        self._front.start()
        node = self._settings.node
        logger.info(
            "listening",
            extra={"ae_title": node.ae_title, "port": node.port, "receivers": len(self._crew.receivers)},
        )

    def _close_door(self) -> None:
        self._front.stop()
        self._crew.stop(PATIENCE_WITH_ASSOCIATIONS_S)
        self._registrar.stop()

    def _watch(self) -> None:
        tick_s = min(LONGEST_TICK_S, self._settings.node.quiet_period_s / TICKS_PER_QUIET_PERIOD)
        ticks_per_sweep = round(SWEEP_SPOOL_EVERY_S / tick_s)
        for tick in itertools.count():
            try:
                if tick == 0:
                    scrub(self.store)
                act_on_notes(self.database)
                self._completer.complete_studies()
                if tick % ticks_per_sweep == 0:
                    sweep(self.store)
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

"""Finds the orders behind studies while these arrive, on a thread of its own; nobody waits for it."""

import logging
import threading
from queue import SimpleQueue
from typing import Final

from pydicom import dcmread

from dicom_node.database.engine import Database
from dicom_node.errors import PeerError, SettingsError, StorageError
from dicom_node.orders.order import Order, Ordered, priority_under
from dicom_node.orders.worklist import ask_worklist
from dicom_node.priors.description import text
from dicom_node.rules.plan import plan_of
from dicom_node.settings import NodeSettings
from dicom_node.study import JobState, Priority, StudyInstanceUID
from dicom_node.unreadable import UNREADABLE

logger = logging.getLogger(__name__)

TICK_S: Final = 0.2
MOST_REMEMBERED: Final = 10_000
"""Studies of which is known that they were asked for; beyond, they are asked for once more."""


class OrderFinder:
    """Asks the worklists of the configuration in order, once for each study."""

    def __init__(self, settings: NodeSettings, database: Database) -> None:
        self._worklists = settings.worklists
        self._rules = settings.rules
        self._database = database
        self._wanted: SimpleQueue[StudyInstanceUID] = SimpleQueue()
        self._seen: set[StudyInstanceUID] = set()

    def want(self, study_instance_uid: StudyInstanceUID) -> None:
        """Have the order of a study looked for, unless that was done."""
        if self._worklists and study_instance_uid not in self._seen:
            if len(self._seen) >= MOST_REMEMBERED:
                self._seen.clear()
            self._seen.add(study_instance_uid)
            self._wanted.put(study_instance_uid)

    def run(self, stop: threading.Event) -> None:
        """Ask until told to stop."""
        while not stop.wait(TICK_S):
            while not self._wanted.empty() and not stop.is_set():
                uid = self._wanted.get()
                try:
                    self.find(uid)
                except StorageError:
                    logger.exception("an order could not be looked for")
                    self._seen.discard(uid)

    def find(self, study_instance_uid: StudyInstanceUID) -> None:
        """Ask for one study, keep the order, and make a job that is there already as urgent as it says.

        Raises:
            StorageError: the index cannot be used.
        """
        if self._database.orders.of_study(study_instance_uid) is not None:
            return
        order, said = self._ask(self._ordered(study_instance_uid))
        if order is not None:
            self._database.orders.keep(study_instance_uid, order)
            self._hurry(study_instance_uid, order)
        self._database.events.note(study_instance_uid, "order", said)
        logger.info("order looked for", extra={"found": order is not None})

    def _ask(self, study: Ordered) -> tuple[Order | None, str]:
        said: list[str] = []
        for worklist in self._worklists:
            try:
                order = ask_worklist(worklist, study)
            except (PeerError, SettingsError, RuntimeError) as exc:  # the last one: the RIS has gone
                said.append(f"{worklist.name}: {type(exc).__name__}")
                continue
            if order is not None:
                return order, f"{worklist.name}: found, {order.priority}"
            said.append(f"{worklist.name}: no order of this patient")
        return None, "; ".join(said)

    def _ordered(self, study_instance_uid: StudyInstanceUID) -> Ordered:
        content = self._database.studies.content(study_instance_uid)
        accession = name = ""
        for instance in self._database.instances.of_study(study_instance_uid)[:1]:
            try:
                ds = dcmread(instance.path, specific_tags=["AccessionNumber", "PatientName"])
                accession, name = text(ds, "AccessionNumber"), text(ds, "PatientName")
            except UNREADABLE:
                continue
        return Ordered(study_instance_uid, accession, content.patient, name)

    def _hurry(self, study_instance_uid: StudyInstanceUID, order: Order) -> None:
        """Raise a job that was made before the order was known; one that somebody raised stays."""
        rule = plan_of(self._database.instances.of_study(study_instance_uid), self._rules).rule
        priority = priority_under(rule, order)
        for job in self._database.jobs.of_study(study_instance_uid):
            is_waiting = job.state is JobState.QUEUED and job.priority is Priority.ROUTINE
            if is_waiting and priority is not Priority.ROUTINE:
                self._database.jobs.prioritize(job.job_id, priority, "its order")

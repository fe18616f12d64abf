"""Composition root of a worker process: settings in, a Celery application out."""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from functools import cached_property

import torch
from celery import Celery
from celery.signals import worker_process_init, worker_ready
from celery.worker import state

from dicom_node.database.engine import open_database
from dicom_node.dispatch import QUEUES, TASKS, celery_app, send_hint
from dicom_node.errors import IndexAwayError
from dicom_node.settings import NodeSettings
from dicom_node.storage import InstanceStore, ResultStore
from dicom_node.study import Stage
from model.reader import Reader
from worker.pipeline import Pipeline

logger = logging.getLogger(__name__)

START_AGAIN_AFTER_S = 1.0


class WorkerProcess:
    """What one process holds between jobs; made after the fork, so no connection crosses it."""

    def __init__(self, settings: NodeSettings) -> None:
        self.settings = settings
        self.app = celery_app(settings)

    @cached_property
    def reader(self) -> Reader:
        from model.registry import load_family

        settings = self.settings.worker
        return Reader(load_family(settings.weights, torch_device(settings.device), settings.precision))

    @cached_property
    def pipeline(self) -> Pipeline:
        database = open_database(self.settings.node.database_url)
        data_dir = self.settings.node.data_dir
        return Pipeline(
            settings=self.settings,
            database=database,
            store=InstanceStore(data_dir, database),
            results=ResultStore(
                data_dir, database, destinations=[d.name for d in self.settings.destinations]
            ),
            reader=lambda: self.reader,
            owner=f"{socket.gethostname()}:{os.getpid()}",
            to_delivery=lambda job_id: send_hint(self.app, Stage.DELIVERY, job_id),
        )

    def take_next(self, stage: Stage) -> None:
        """Walk the most urgent job of a stage on; without an index there is nothing to do."""
        try:
            self.pipeline.take_next(stage)
        except IndexAwayError as exc:
            logger.warning("no job taken: %s", exc)


def torch_device(setting: str) -> str:
    """Resolve `auto` to the GPU if there is one, else the CPU."""
    if setting != "auto":
        return setting
    return "cuda" if torch.cuda.is_available() else "cpu"


def build_app(settings: NodeSettings, process: WorkerProcess | None = None) -> Celery:
    """Return the Celery application with a task for each stage; a task returns nothing.

    Messages are hints: what a task does is up to the index, not to what a message says.
    """
    process = process or WorkerProcess(settings)

    def read_study(*_hint: object, **_more: object) -> None:
        process.take_next(Stage.READING)

    def deliver_results(*_hint: object, **_more: object) -> None:
        process.take_next(Stage.DELIVERY)

    for stage, task in ((Stage.READING, read_study), (Stage.DELIVERY, deliver_results)):
        process.app.task(task, name=TASKS[stage])
    worker_process_init.connect(_exit_when_terminated)
    return process.app


def _exit_when_terminated(**_sender: object) -> None:
    """Have a process that is told to end give its job back; PyTorch and Celery leave it to die at once."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))


def run_worker(app: Celery, stages: Sequence[Stage], concurrency: int, log_level: str) -> None:
    """Serve the queues of some stages until the process is told to stop.

    Celery ends at what it did not expect, a message that is no JSON for one. It is started again then, unless
    it never became ready.
    """
    queues = ",".join(QUEUES[stage] for stage in stages)
    name = "-".join(stages)
    arguments = ["worker", "--pool", "prefork", "--concurrency", str(concurrency), "--loglevel", log_level]
    arguments += ["--queues", queues, "--without-gossip", "--without-mingle"]
    ready = threading.Event()

    def on_ready(**_sender: object) -> None:
        ready.set()

    worker_ready.connect(on_ready)
    while True:
        ready.clear()
        app.worker_main([*arguments, "--hostname", f"medversa-{name}@%h"])
        if state.should_stop is not None or state.should_terminate is not None:
            return
        if not ready.is_set():
            raise SystemExit(1)
        logger.error("the worker ended without being told to; it is started again")
        time.sleep(START_AGAIN_AFTER_S)

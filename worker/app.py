"""Composition root of a worker process: settings in, a Celery application out."""

import os
import socket
from functools import cached_property

import torch
from celery import Celery

from dicom_node.database.engine import open_database
from dicom_node.dispatch import celery_app
from dicom_node.settings import NodeSettings
from dicom_node.storage import InstanceStore, ResultStore
from dicom_node.study import JobId
from model.reader import Reader
from model.registry import load_family
from worker.pipeline import Pipeline

READ_STUDY = "worker.tasks.read_study"


class WorkerProcess:
    """What one process holds between jobs; made after the fork, so no connection crosses it."""

    def __init__(self, settings: NodeSettings) -> None:
        self.settings = settings

    @cached_property
    def reader(self) -> Reader:
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
        )


def torch_device(setting: str) -> str:
    """Resolve `auto` to the GPU if there is one, else the CPU."""
    if setting != "auto":
        return setting
    return "cuda" if torch.cuda.is_available() else "cpu"


def build_app(settings: NodeSettings) -> Celery:
    """Return the Celery application with its one task; a task gets a job id and returns nothing."""
    app = celery_app(settings)
    process = WorkerProcess(settings)

    def read_study(job_id: int) -> None:
        process.pipeline.take(JobId(job_id))

    app.task(read_study, name=READ_STUDY)
    return app

"""Sends jobs to workers: the job row is the truth, the message only a hint that a sweep repeats."""

import logging
from pathlib import Path
from urllib.parse import urlsplit

from celery import Celery
from kombu.exceptions import OperationalError

from dicom_node.database.engine import Database
from dicom_node.settings import NodeSettings
from dicom_node.study import JobId

logger = logging.getLogger(__name__)

READ_STUDY = "worker.tasks.read_study"
QUEUE = "medversa"
VISIBILITY_MARGIN_S = 600
CONNECT_TIMEOUT_S = 3


def celery_app(settings: NodeSettings) -> Celery:
    """Return the Celery application by which node and worker talk; it knows no task, only names.

    Messages are acknowledged late and one at a time, and hold a job id as JSON; nothing is ever returned. A
    message lost with its worker is not repeated by the broker but by the sweep, which counts attempts.
    """
    app = Celery("medversa_node", set_as_current=False)
    app.conf.update(
        broker_url=settings.broker.url or "filesystem://localhost",
        broker_transport_options=_transport_options(settings),
        broker_connection_timeout=CONNECT_TIMEOUT_S,
        broker_connection_retry_on_startup=True,
        result_backend=None,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        task_acks_on_failure_or_timeout=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        task_soft_time_limit=settings.worker.time_limit_s,
        task_time_limit=settings.worker.time_limit_s + 60,
        enable_utc=True,
    )
    return app


def _transport_options(settings: NodeSettings) -> dict[str, object]:
    if urlsplit(settings.broker.url).scheme:
        # Longer than any reading: else the broker hands a running job to a second worker.
        return {"visibility_timeout": settings.worker.time_limit_s + VISIBILITY_MARGIN_S}
    folder = settings.node.data_dir / "queue"
    messages, control = folder / "messages", folder / "control"
    for made in (messages, control):
        _make_private(made)
    return {
        "data_folder_in": str(messages),
        "data_folder_out": str(messages),
        "control_folder": str(control),
        "store_processed": False,
    }


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


class Dispatcher:
    """Sends what is due."""

    def __init__(self, settings: NodeSettings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._app = celery_app(settings)

    def send(self, job_id: JobId) -> bool:
        """Send the message for one job; False if the broker does not take it: the sweep tries again."""
        try:
            self._app.send_task(READ_STUDY, args=[int(job_id)], ignore_result=True, retry=False)
        except (OperationalError, OSError) as exc:
            logger.warning("broker does not answer", extra={"job_id": job_id, "error": type(exc).__name__})
            return False
        self._database.jobs.sent(job_id)
        return True

    def sweep(self) -> None:
        """Send what nobody works on, and give up what has cost too many workers."""
        worker, node = self._settings.worker, self._settings.node
        swept = self._database.jobs.sweep(worker.max_attempts, node.resend_after_s)
        for job_id in swept.given_up:
            logger.error("job failed: its workers were lost", extra={"job_id": job_id})
        for job_id in swept.due:
            if not self.send(job_id):
                return

"""Sends hints to workers: the job row is the truth, and a message says only that a queue is worth a look."""

import logging
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from celery import Celery
from kombu.exceptions import OperationalError

from dicom_node.database.engine import Database
from dicom_node.settings import NodeSettings
from dicom_node.study import JobId, Stage

logger = logging.getLogger(__name__)

TASKS: Final[dict[Stage, str]] = {
    Stage.READING: "worker.tasks.read_study",
    Stage.DELIVERY: "worker.tasks.deliver_results",
}
QUEUES: Final[dict[Stage, str]] = {stage: f"medversa-{stage}" for stage in Stage}
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
        task_default_queue=QUEUES[Stage.READING],
        task_routes={TASKS[stage]: {"queue": QUEUES[stage]} for stage in Stage},
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


def send_hint(app: Celery, stage: Stage, job_id: JobId) -> bool:
    """Send the message for one job; False if the broker does not take it: the sweep tries again."""
    try:
        app.send_task(TASKS[stage], args=[int(job_id)], ignore_result=True, retry=False)
    except (OperationalError, OSError) as exc:
        logger.warning("broker does not answer", extra={"job_id": job_id, "error": type(exc).__name__})
        return False
    return True


def messages_waiting(app: Celery) -> dict[Stage, int]:
    """Count the messages that no worker has fetched yet.

    Raises:
        OperationalError: the broker does not answer.
    """
    with app.connection_for_write() as connection:
        try:
            with connection.channel() as channel:
                declared = {
                    stage: channel.queue_declare(queue=name, durable=True, auto_delete=False)
                    for stage, name in QUEUES.items()
                }
        except (OSError, *connection.connection_errors, *connection.channel_errors) as exc:
            raise OperationalError(type(exc).__name__) from exc
    return {stage: int(answer.message_count) for stage, answer in declared.items()}


class Dispatcher:
    """Keeps as many messages in each queue as jobs wait for it, whatever became of those sent before.

    Workers take the most urgent job of their queue, not the one that a message names: so a message that is
    lost, late or double changes nothing but how soon somebody looks.
    """

    def __init__(self, settings: NodeSettings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._app = celery_app(settings)

    def sweep(self) -> None:
        """Send what nobody works on, and give up what has cost too many workers."""
        worker = self._settings.worker
        given_up = self._database.jobs.sweep(worker.max_attempts, worker.time_limit_s, worker.retry_after_s)
        for job_id in given_up:
            logger.error("job failed: its workers were lost", extra={"job_id": job_id})
        outboxes = {stage: self._database.jobs.outbox(stage) for stage in Stage}
        if not any(outboxes.values()):
            return
        try:
            there = messages_waiting(self._app)
        except OperationalError as exc:
            logger.warning("broker does not answer", extra={"error": str(exc)})
            return
        for stage, due in outboxes.items():
            self._send(stage, due[: max(0, len(due) - there[stage])])

    def _send(self, stage: Stage, due: list[JobId]) -> None:
        sent: list[JobId] = []
        for job_id in due:
            if not send_hint(self._app, stage, job_id):
                break
            sent.append(job_id)
        self._database.jobs.sent(sent)

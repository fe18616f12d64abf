"""Messages to workers: a job id and nothing else, sent again until somebody works on it."""

import base64
import json
from pathlib import Path

import pytest

from dicom_node.database.engine import Database
from dicom_node.dispatch import QUEUES, TASKS, Dispatcher, celery_app
from dicom_node.routing import why_not_applicable
from dicom_node.settings import NodeSettings
from dicom_node.study import JobId, Reason, Stage
from tests.unit.dicom_node.arrivals import Sender, dataset

STUDY = "1.2.3.100"


@pytest.fixture
def settings(tmp_path: Path) -> NodeSettings:
    return NodeSettings.model_validate({"node": {"data_dir": str(tmp_path)}})


@pytest.fixture
def job_id(sender: Sender, database: Database) -> JobId:
    sender.send(dataset())
    job_id = database.studies.complete(database.studies.get(STUDY), Reason.QUIET_PERIOD)
    assert job_id is not None
    return job_id


def messages(folder: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "queue" / "messages").iterdir())]


def test_X06_message_holds_a_job_id_and_nothing_else(
    settings: NodeSettings, database: Database, job_id: JobId, tmp_path: Path
) -> None:
    Dispatcher(settings, database).sweep()

    (message,) = messages(tmp_path)
    headers, body = message["headers"], message["body"]
    assert isinstance(headers, dict)
    assert isinstance(body, str)
    args, kwargs, _ = json.loads(base64.b64decode(body))
    assert (headers["task"], args, kwargs) == (TASKS[Stage.READING], [int(job_id)], {})
    text = json.dumps(message) + base64.b64decode(body).decode()
    assert STUDY not in text
    assert "P1" not in text


def test_sweep_keeps_one_message_for_each_job_that_waits(
    settings: NodeSettings, database: Database, job_id: JobId, tmp_path: Path
) -> None:
    dispatcher = Dispatcher(settings, database)

    dispatcher.sweep()
    dispatcher.sweep()
    (message,) = (tmp_path / "queue" / "messages").iterdir()
    message.unlink()
    dispatcher.sweep()

    assert len(messages(tmp_path)) == 1


def test_job_that_was_read_waits_in_the_queue_of_those_who_deliver(
    settings: NodeSettings, database: Database, job_id: JobId, tmp_path: Path
) -> None:
    lease = database.jobs.claim_next(Stage.READING, "reader", 60)
    assert lease is not None
    database.jobs.hand_over(lease)

    Dispatcher(settings, database).sweep()

    (path,) = (tmp_path / "queue" / "messages").iterdir()
    assert path.name.endswith(f".{QUEUES[Stage.DELIVERY]}.msg")


def test_workers_take_one_message_at_a_time_and_only_json(settings: NodeSettings) -> None:
    conf = celery_app(settings).conf

    assert conf.task_acks_late
    assert not conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
    assert conf.accept_content == ["json"]
    assert conf.result_backend is None


def test_message_outlives_the_longest_reading() -> None:
    settings = NodeSettings.model_validate({"broker": {"url": "redis://127.0.0.1/0"}})
    conf = celery_app(settings).conf

    assert conf.broker_transport_options["visibility_timeout"] > conf.task_time_limit


@pytest.mark.parametrize(
    ("sop_class_uid", "reason"),
    [
        ("1.2.840.10008.5.1.4.1.1.1.1", None),
        ("1.2.840.10008.5.1.4.1.1.2", None),
        ("1.2.840.10008.5.1.4.1.1.7", None),
        ("1.2.840.10008.5.1.4.1.1.77.1.7", None),
        ("1.2.840.10008.5.1.4.1.1.88.33", Reason.NO_IMAGES),
        ("1.2.840.10008.5.1.4.1.1.104.1", Reason.NO_IMAGES),
        ("1.2.840.10008.5.1.4.1.1.481.3", Reason.NO_IMAGES),
    ],
)
def test_class_decides_whether_a_study_is_read(
    sender: Sender, database: Database, sop_class_uid: str, reason: Reason | None
) -> None:
    sender.send(dataset(SOPClassUID=sop_class_uid))

    assert why_not_applicable(database.instances.of_study(STUDY)) is reason

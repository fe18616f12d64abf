"""The node without its broker: slower, never wrong."""

from pathlib import Path

from dicom_node.database.engine import open_database
from dicom_node.dispatch import Dispatcher
from dicom_node.intake import Intake
from dicom_node.settings import NodeSettings
from dicom_node.storage import InstanceStore
from dicom_node.study import JobState, Reason, Stage
from tests.unit.dicom_node.arrivals import Sender, dataset


def test_Q01_broker_that_does_not_answer_costs_nothing_but_time(tmp_path: Path) -> None:
    settings = NodeSettings.model_validate(
        {"node": {"data_dir": str(tmp_path)}, "broker": {"url": "redis://127.0.0.1:1/0"}}
    )
    database = open_database(settings.node.database_url)
    Sender(Intake(InstanceStore(tmp_path, database), database)).send(dataset())
    job_id = database.studies.complete(database.studies.get("1.2.3.100"), Reason.QUIET_PERIOD)
    assert job_id is not None

    Dispatcher(settings, database).sweep()

    assert database.jobs.get(job_id).state is JobState.QUEUED
    assert database.jobs.waiting(Stage.READING) == [job_id]
    database.close()

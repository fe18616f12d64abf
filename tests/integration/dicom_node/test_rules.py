"""A node with rules: what they leave out is set aside with its reason, the rest gets a job."""

import shutil
import time
from pathlib import Path

import pytest

from dicom_node.database.engine import open_database
from dicom_node.settings import load_settings
from dicom_node.study import JobState, Priority, Reason, StudyInstanceUID, StudyState
from tests.integration.dicom_node.programs import NodeProcess
from tests.unit.dicom_node.arrivals import write

pytestmark = pytest.mark.skipif(shutil.which("dcmsend") is None, reason="DCMTK is not installed")

RULES = """
[[rules]]
name = "chest"
body_part = "CHEST"
calling_ae = "DCMSEND"
priority = "stat"
"""
PATIENCE_S = 30


def test_study_that_fits_no_rule_is_set_aside_and_says_why(tmp_path: Path) -> None:
    chest = write(tmp_path, StudyInstanceUID="1.2.1")
    head = write(tmp_path, StudyInstanceUID="1.2.2", BodyPartExamined="HEAD")
    node = NodeProcess(tmp_path, extra=RULES).start()
    database = open_database(load_settings(node.config, {}).node.database_url)
    try:
        assert node.send(chest, head).returncode == 0
        deadline = time.monotonic() + PATIENCE_S
        while database.studies.receiving() and time.monotonic() < deadline:
            time.sleep(0.1)
        aside = database.studies.get("1.2.2")
        history = {uid: database.events.of_study(StudyInstanceUID(uid)) for uid in ("1.2.1", "1.2.2")}

        assert (aside.state, aside.reason) == (StudyState.NOT_APPLICABLE, Reason.NO_RULE)
        assert history["1.2.2"][-1].detail == "not chest: body part is HEAD, not CHEST"
        assert database.jobs.of_study("1.2.2") == []
        (job,) = database.jobs.of_study("1.2.1")
        assert (job.state, job.priority) == (JobState.QUEUED, Priority.STAT)
        (routed,) = [event for event in history["1.2.1"] if event.state == "routed"]
        assert routed.detail == "rule chest: body part CHEST fits CHEST; calling ae DCMSEND fits DCMSEND"
    finally:
        database.close()
        node.stop()

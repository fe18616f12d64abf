"""Orthanc forwards what it gets; the node reads it and writes back, and that starts nothing new."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_node.study import JobState, StudyInstanceUID
from tests.driving import database_of, modalities, results_in_archive, wait_for_job
from worker.demo.phantom_studies import WrittenStudy
from worker.demo.servers import find_program
from worker.demo.site import Site

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(servers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose Orthanc forwards every stable study, our own results included."""
    lua = ROOT / "deploy" / "orthanc" / "autoroute.lua"
    running = Site(tmp_path_factory.mktemp("routing"), quiet_period_s=3, lease_s=10, lua=lua)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.mark.parametrize("title", ["chest, current", "abdomen CT"])
def test_routed_study_comes_back_once(site: Site, phantoms: dict[str, WrittenStudy], title: str) -> None:
    study = phantoms[title]
    program = find_program("storescu")
    assert program
    assert site.orthanc
    subprocess.run(
        [program, "-aec", "ORTHANC", "127.0.0.1", str(site.orthanc.dicom_port), *map(str, study.files)],
        check=True,
        timeout=120,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    database = database_of(site)
    job = wait_for_job(database, study.study_instance_uid, timeout_s=240)
    assert job.state is JobState.DONE, (job.reason, job.detail)

    # Orthanc calls the study stable again once the results are in, and forwards it again.
    time.sleep(3 + 3 + site.quiet_period_s + 5)
    assert len(database.jobs.of_study(StudyInstanceUID(study.study_instance_uid))) == 1
    assert modalities(results_in_archive(site, study.study_instance_uid)).count("SR") == 1

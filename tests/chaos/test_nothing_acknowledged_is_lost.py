"""Worker, node, broker or archive killed: every acknowledged study still ends in one set of results."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from dicom_node.study import JobState
from tests.driving import (
    database_of,
    dcmsend,
    job_of,
    modalities,
    results_in_archive,
    wait_for_job,
    wait_until,
)
from worker.demo.phantom_studies import WrittenStudy
from worker.demo.servers import find_program
from worker.demo.site import AE_TITLE, Site


@pytest.fixture
def site(servers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a short lease, so that a lost worker is noticed soon."""
    running = Site(tmp_path_factory.mktemp("chaos"), quiet_period_s=2, lease_s=5)
    try:
        running.start()
        yield running
    finally:
        running.stop()


def test_Q03_killed_worker_leaves_exactly_one_set(site: Site, phantoms: dict[str, WrittenStudy]) -> None:
    study = phantoms["chest, current"]
    database = database_of(site)
    dcmsend(study.files, site.node_port)

    def is_running() -> bool:
        job = job_of(database, study.study_instance_uid)
        return job is not None and job.state is JobState.RUNNING

    wait_until(is_running, 60, "the worker takes the job")
    assert site.worker
    site.worker.kill()
    site.start_worker()

    job = wait_for_job(database, study.study_instance_uid)
    assert job.state is JobState.DONE, (job.reason, job.detail)
    assert job.attempts == 2
    found = modalities(results_in_archive(site, study.study_instance_uid))
    assert found.count("SR") == 1
    assert len(found) == len(database.results.of_job(job.job_id))


def test_killed_node_keeps_every_acknowledged_instance(site: Site, phantoms: dict[str, WrittenStudy]) -> None:
    study = phantoms["abdomen CT"]
    database = database_of(site)
    program = find_program("storescu")
    assert program
    command = [program, "-v", "-aec", AE_TITLE, "127.0.0.1", str(site.node_port), *map(str, study.files)]
    sender = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def has_begun() -> bool:
        return len(database.instances.of_study(study.study_instance_uid)) >= 5

    wait_until(has_begun, 30, "a few instances are kept")
    assert site.node
    site.node.kill()
    output, _ = sender.communicate(timeout=60)
    acknowledged = len(re.findall(r"Received Store Response \(Success\)", output))
    assert 0 < acknowledged <= len(study.files)
    site.start_node()

    kept = len(database.instances.of_study(study.study_instance_uid))
    assert kept >= acknowledged

    # The sender sends again, as a modality does: the whole study is read once.
    dcmsend(study.files, site.node_port)
    wait_until(
        lambda: len(database.instances.of_study(study.study_instance_uid)) == len(study.files),
        60,
        "all slices",
    )
    time.sleep(site.quiet_period_s + 2)
    jobs = database.jobs.of_study(study.study_instance_uid)
    last = wait_for_job(database, study.study_instance_uid, revision=jobs[-1].revision)
    assert last.state is JobState.DONE, (last.reason, last.detail)
    found = results_in_archive(site, study.study_instance_uid)
    assert modalities(found).count("SR") == sum(
        bool(database.results.of_job(job.job_id)) for job in database.jobs.of_study(study.study_instance_uid)
    )


def test_P01_pacs_that_is_down_gets_its_results_later(site: Site, phantoms: dict[str, WrittenStudy]) -> None:
    study = phantoms["skin lesion"]
    database = database_of(site)
    assert site.orthanc
    assert site.orthanc.program
    site.orthanc.program.kill()
    dcmsend(study.files, site.node_port)

    def waits_for_pacs() -> bool:
        job = job_of(database, study.study_instance_uid)
        return job is not None and job.state is JobState.DELIVERING and job.reason is not None

    wait_until(waits_for_pacs, 120, "delivery is put off")
    site.orthanc.start()
    job = wait_for_job(database, study.study_instance_uid, timeout_s=120)
    assert job.state is JobState.DONE, (job.reason, job.detail)
    assert modalities(results_in_archive(site, study.study_instance_uid)).count("SR") == 1


def test_Q02_messages_lost_by_the_broker_are_sent_again(
    site: Site, phantoms: dict[str, WrittenStudy]
) -> None:
    study = phantoms["skin lesion"]
    database = database_of(site)
    assert site.worker
    assert site.redis
    site.worker.stop()
    dcmsend(study.files, site.node_port)
    wait_until(lambda: job_of(database, study.study_instance_uid) is not None, 60, "the job is made")
    flush(site)
    site.start_worker()
    job = wait_for_job(database, study.study_instance_uid)
    assert job.state is JobState.DONE, (job.reason, job.detail)


def flush(site: Site) -> None:
    """Empty Redis, as a restart without persistence does."""
    url = re.search(r'url = "redis://127\.0\.0\.1:(\d+)', Path(site.config).read_text())
    assert url

    with redis.Redis(port=int(url.group(1))) as client:
        client.flushall()

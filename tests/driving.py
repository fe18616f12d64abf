"""Drives a running site the way its users do: DCMTK clients in, the archive's answers out."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pyorthanc import Orthanc as OrthancClient

from dicom_node.database.engine import Database, open_database
from dicom_node.settings import load_settings
from dicom_node.study import Job, JobState, StudyInstanceUID
from worker.demo.servers import find_program
from worker.demo.site import AE_TITLE, Site

OVER = {JobState.DONE, JobState.FAILED, JobState.HELD, JobState.NOT_APPLICABLE}


def database_of(site: Site) -> Database:
    return open_database(load_settings(site.config).node.database_url)


def dcmsend(files: Sequence[Path], port: int, *, called: str = AE_TITLE) -> str:
    """Send files with DCMTK; return what it printed (its exit status says nothing)."""
    program = find_program("dcmsend")
    assert program
    command = [program, "-v", "--no-halt", "--no-uid-checks", "-dn", "-aec", called, "127.0.0.1", str(port)]
    done = subprocess.run(
        [*command, *map(str, files)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=240,
        check=False,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    return done.stdout + done.stderr


def wait_until(is_so: Callable[[], bool], timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(0.2)


def job_of(database: Database, study_instance_uid: str, revision: int = 1) -> Job | None:
    jobs = database.jobs.of_study(StudyInstanceUID(study_instance_uid))
    return next((job for job in jobs if job.revision == revision), None)


def wait_for_job(
    database: Database, study_instance_uid: str, *, revision: int = 1, timeout_s: float = 180
) -> Job:
    """Wait until the job of a revision is over and return it."""

    def is_over() -> bool:
        job = job_of(database, study_instance_uid, revision)
        return job is not None and job.state in OVER

    wait_until(is_over, timeout_s, f"end of the job for revision {revision}")
    job = job_of(database, study_instance_uid, revision)
    assert job is not None
    return job


def results_in_archive(site: Site, study_instance_uid: str) -> list[Dataset]:
    """Fetch every SR, SEG and PR of a study from Orthanc."""
    assert site.orthanc
    query = {"StudyInstanceUID": study_instance_uid, "Modality": "SR\\SEG\\PR"}
    with OrthancClient(site.orthanc.url) as client:
        found = client.post_tools_find({"Level": "Instance", "Query": query})
        return [dcmread(BytesIO(client.get_instances_id_file(orthanc_id))) for orthanc_id in found]


def modalities(objects: Sequence[Dataset]) -> list[str]:
    return sorted(str(ds.Modality) for ds in objects)


def concepts(ds: Dataset) -> list[Dataset]:
    """List every content item of an SR tree, depth first."""
    found: list[Dataset] = []
    for item in ds.get("ContentSequence", []):
        found.append(item)
        found.extend(concepts(item))
    return found


def items_named(ds: Dataset, code_value: str) -> list[Dataset]:
    """List the content items whose concept name has the given code value."""
    return [
        item
        for item in concepts(ds)
        if "ConceptNameCodeSequence" in item
        and item.ConceptNameCodeSequence[0].get("CodeValue") == code_value
    ]

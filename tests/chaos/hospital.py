"""A node, a worker with a scripted model, a broker and a PACS on loopback, all of which may be killed."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid

from dicom_node.database.engine import Database, open_database
from dicom_node.errors import NodeError
from dicom_node.scu import send_files
from dicom_node.settings import Destination
from dicom_node.study import Job, JobState, Priority
from tests.builders import data_set_bytes
from tests.chaos.recording_archive import AE_TITLE as PACS
from tests.chaos.recording_archive import RecordingArchive
from worker.demo.phantom_studies import demo_lesion, write_photograph
from worker.demo.servers import Program, accepts_connections, free_port, own_program, start_redis

ROOT = Path(__file__).resolve().parents[2]
OVER = {
    JobState.DONE,
    JobState.FAILED,
    JobState.HELD,
    JobState.NOT_APPLICABLE,
    JobState.CANCELLED,
}
SEND_TRIES = 240


@dataclass(slots=True, eq=False)
class Hospital:
    """Everything runs as a process of its own but the PACS and the modality, which keep account."""

    folder: Path
    index_url: str = ""
    lease_s: float = 4.0
    time_limit_s: float = 60.0
    retry_after_s: Sequence[float] = (1.0, 2.0, 4.0)
    quiet_period_s: float = 1.0
    min_free_bytes: int = 1 << 20
    port: int = field(default_factory=free_port)
    archive: RecordingArchive = field(default_factory=RecordingArchive)
    answered: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each data set that was answered with success, by SOP Instance UID."""
    broker_url: str = ""
    redis: Program | None = None
    node: Program | None = None
    worker: Program | None = None

    @property
    def config(self) -> Path:
        return self.folder / "node.toml"

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.redis, self.broker_url = start_redis(self.folder / "redis")
        self.archive.start()
        self.config.write_text(self._toml())
        self.start_node()
        self.start_worker()

    def _toml(self) -> str:
        return f"""
[node]
port = {self.port}
data_dir = "{self.folder}/data"
database_url = {json.dumps(self.index_url)}
quiet_period_s = {self.quiet_period_s}
min_free_bytes = {self.min_free_bytes}
receivers = 1
[worker]
lease_s = {self.lease_s}
time_limit_s = {self.time_limit_s}
retry_after_s = {list(self.retry_after_s)}
[broker]
url = "{self.broker_url}"
[[destinations]]
name = "PACS"
ae_title = "{PACS}"
port = {self.archive.port}
timeout_s = 5
"""

    def start_node(self) -> None:
        self.node = own_program("serve", self.config, self.folder / "node.log")
        self.node.start()
        self.node.wait_until(lambda: accepts_connections(self.port), timeout_s=240)

    def start_worker(self, *stages: str) -> None:
        log = self.folder / "worker.log"
        seen = log.stat().st_size if log.exists() else 0
        command = [sys.executable, "-m", "tests.chaos.scripted_worker", str(self.config), *stages]
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self.worker = Program("worker", command, log, {"PYTHONPATH": paths})
        self.worker.start()
        self.worker.wait_until(lambda: b" ready." in log.read_bytes()[seen:], timeout_s=240)

    def stop(self) -> None:
        for program in (self.worker, self.node, self.redis):
            if program is not None:
                program.stop()
        self.archive.stop()

    def open_index(self) -> Database:
        return open_database(self.index_url or f"sqlite:///{self.folder}/data/node.sqlite")

    def send(self, files: Sequence[Path]) -> None:
        """Send as a modality does: what is not answered with success is sent again, for some minutes."""
        left = {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID): path for path in files}
        for _ in range(SEND_TRIES):
            left = self._send_once(left)
            if not left:
                return
            time.sleep(0.5)
        raise AssertionError(f"{len(left)} files were not taken")

    def _send_once(self, files: dict[str, Path]) -> dict[str, Path]:
        if not accepts_connections(self.port):
            return files
        node = Destination(
            name="node", ae_title="MEDVERSA", port=self.port, calling_ae_title="CT1", timeout_s=10
        )
        try:
            outcomes = send_files(node, list(files.values()))
        except NodeError:
            return files
        for outcome in outcomes:
            if outcome.status == 0x0000:
                content = data_set_bytes(files[outcome.sop_instance_uid])
                self.answered[outcome.sop_instance_uid] = hashlib.sha256(content).hexdigest()
        return {uid: path for uid, path in files.items() if uid not in self.answered}


def write_studies(folder: Path, count: int, mark: str = "1") -> list[Path]:
    """Write dermoscopy studies of one image each, of patients of their own; `mark` says what a model does."""
    folder.mkdir(parents=True, exist_ok=True)
    (first,) = write_photograph(folder / "first", demo_lesion()).files
    ds = dcmread(first)
    written: list[Path] = []
    for _ in range(count):
        ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
        ds.SOPInstanceUID = f"{generate_uid()[:58]}.{mark}"
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.PatientID = generate_uid()[-16:]
        path = folder / f"{len(written)}-{mark}.dcm"
        ds.save_as(path, enforce_file_format=True)
        written.append(path)
    return written


def wait_until(is_so: Callable[[], bool], timeout_s: float, what: str, every_s: float = 0.05) -> float:
    """Wait; return how many seconds it took."""
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() - begun < timeout_s, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(every_s)
    return time.monotonic() - begun


def study_uid(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).StudyInstanceUID)


def jobs_of(database: Database, files: Sequence[Path]) -> list[Job]:
    uids = {study_uid(path) for path in files}
    return [job for job in database.jobs.all() if job.study_instance_uid in uids]


def wait_for_end(hospital: Hospital, files: Sequence[Path], timeout_s: float = 600) -> float:
    """Wait until every study has come to rest; return how many seconds it took."""
    uids = {study_uid(path) for path in files}
    database = hospital.open_index()

    def are_over() -> bool:
        try:
            jobs = [job for job in database.jobs.all() if job.study_instance_uid in uids]
        except NodeError:
            return False
        return {job.study_instance_uid for job in jobs} == uids and all(job.state in OVER for job in jobs)

    try:
        return wait_until(are_over, timeout_s, f"end of {len(uids)} studies", every_s=0.2)
    finally:
        database.close()


def reconcile(hospital: Hospital) -> list[str]:
    """Compare what modality and PACS know with the node's index and files; return what is wrong."""
    database = hospital.open_index()
    try:
        return [
            *_lost(hospital, database),
            *(fault for job in database.jobs.all() for fault in _delivery_faults(hospital, database, job)),
            *_unknown(hospital, database),
        ]
    finally:
        database.close()


def _lost(hospital: Hospital, database: Database) -> list[str]:
    faults: list[str] = []
    for uid, sha256 in hospital.answered.items():
        kept = database.instances.get(uid)
        if kept is None:
            faults.append(f"{uid} was answered and has no row")
        elif hashlib.sha256(kept.path.read_bytes()[-kept.size :]).hexdigest() != sha256:
            faults.append(f"{uid} is not what was sent")
    return faults


def _delivery_faults(hospital: Hospital, database: Database, job: Job) -> list[str]:
    if job.state is not JobState.DONE:
        return []
    faults: list[str] = []
    results = database.results.of_job(job.job_id)
    if not results:
        faults.append(f"job {job.job_id} is done without results")
    for result in results:
        contents = hospital.archive.received.get(result.sop_instance_uid, [])
        if set(contents) != {data_set_bytes(result.path)}:
            faults.append(f"{result.modality} of job {job.job_id}: {len(contents)} received, not as stored")
    return faults


def _unknown(hospital: Hospital, database: Database) -> list[str]:
    known = {
        result.sop_instance_uid
        for job in database.jobs.all()
        for result in database.results.of_job(job.job_id)
    }
    return [f"the PACS has {uid}, which no job knows" for uid in set(hospital.archive.received) - known]


def prioritize(database: Database, files: Sequence[Path], priority: Priority) -> None:
    for job in jobs_of(database, files):
        database.jobs.prioritize(job.job_id, priority, "the campaign")

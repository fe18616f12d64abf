"""A study's whole life in one process that is killed at one named point, and once more by a successor.

`python -m tests.faults.life FOLDER FILE...` makes a folder for each point of `POINTS`, forks a process that
dies there with SIGKILL, and forks its successor, to which the sender sends everything again.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread

from dicom_node.admission import StoreCommand
from dicom_node.database.deliveries import DeliveryRepository
from dicom_node.database.engine import Database, open_database
from dicom_node.database.instances import InstanceRepository
from dicom_node.database.jobs import JobRepository
from dicom_node.database.results import ResultRepository
from dicom_node.database.studies import StudyRepository
from dicom_node.dispatch import Dispatcher
from dicom_node.intake import Intake, Reception
from dicom_node.settings import Destination, Node, NodeSettings, Worker
from dicom_node.spool_file import SpoolFile
from dicom_node.storage import InstanceStore, ResultStore
from dicom_node.study import JobState, Reason
from model.reader import Reader
from tests.builders import data_set_bytes
from tests.fakes import FakeFamily
from worker.pipeline import Pipeline

POINTS: Final[dict[str, tuple[type, str, str]]] = {
    "scp.after_pdu": (Reception, "write", "after"),
    "scp.before_fsync": (SpoolFile, "sync", "before"),
    "scp.after_fsync": (SpoolFile, "sync", "after"),
    "scp.before_commit": (InstanceRepository, "admit", "before"),
    "scp.after_commit": (InstanceRepository, "admit", "after"),
    "scp.before_rsp": (Reception, "finish", "after"),
    "group.before_commit": (StudyRepository, "complete", "before"),
    "group.after_commit": (StudyRepository, "complete", "after"),
    "outbox.before_send": (Dispatcher, "_send", "before"),
    "outbox.before_mark": (JobRepository, "sent", "before"),
    "outbox.after_send": (Dispatcher, "_send", "after"),
    "work.after_lease": (JobRepository, "claim", "after"),
    "work.mid_infer": (Reader, "read", "before"),
    "work.after_infer": (Reader, "read", "after"),
    "pub.before_freeze": (ResultStore, "keep", "before"),
    "work.after_result_write": (ResultStore, "_write", "after"),
    "work.before_commit": (ResultRepository, "keep", "before"),
    "pub.after_freeze": (ResultRepository, "keep", "after"),
    "pub.after_store1": (DeliveryRepository, "record", "before"),
    "pub.after_mark1": (DeliveryRepository, "record", "after"),
    "pub.before_mark": (Pipeline, "run", "after"),
}
"""Where a process can die: the function that it is in, and whether it dies before or after it."""


def die_at(point: str) -> None:
    """Have this process killed at a point; like a lost machine, it says nothing any more."""
    owner, name, when = POINTS[point]
    original: Callable[..., Any] = getattr(owner, name)

    def dying(*args: Any, **kwargs: Any) -> None:
        if when == "after":
            original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, dying)


def settings_in(folder: Path) -> NodeSettings:
    """Return the settings of one life; its index is in SQLite, or where a file beside its folder says."""
    destination = Destination(name="folder", kind="folder", folder=folder / "delivered")
    worker = Worker(retry_after_s=(0.001,))
    named = folder.with_suffix(f"{folder.suffix}.index")
    node = Node(data_dir=folder / "data", database_url=named.read_text() if named.exists() else "")
    return NodeSettings(node=node, destinations=(destination,), worker=worker)


def live(folder: Path, files: Sequence[Path], late_s: float = 0.0) -> None:
    """Receive, complete, dispatch, read and deliver, `late_s` seconds from now by the node's clock."""
    settings = settings_in(folder)
    settings.node.data_dir.mkdir(parents=True, exist_ok=True)
    database = open_database(
        settings.node.database_url, lambda: datetime.now(UTC) + timedelta(seconds=late_s)
    )
    store = InstanceStore(settings.node.data_dir, database)
    for file in files:
        receive(Intake(store, database), file, folder / "ledger")
    for study in database.studies.receiving():
        database.studies.complete(study, Reason.QUIET_PERIOD)
    Dispatcher(settings, database).sweep()
    work(settings, database, store)
    store.spool.sweep(database.instances.files_in, datetime.now(UTC).timestamp() + 3600)
    database.close()


def receive(intake: Intake, file: Path, ledger: Path) -> None:
    """Take one file in; what was answered with success is written down as a sender would."""
    ds = dcmread(file, stop_before_pixels=True)
    uid = str(ds.SOPInstanceUID)
    command = StoreCommand(str(ds.SOPClassUID), uid, str(ds.file_meta.TransferSyntaxUID), "MODALITY")
    reception = intake.begin(command)
    reception.write(data_set_bytes(file))
    if reception.finish().status == 0x0000:
        with ledger.open("a") as answered:
            answered.write(f"{uid}\n")


def work(settings: NodeSettings, database: Database, store: InstanceStore) -> None:
    pipeline = Pipeline(
        settings=settings,
        database=database,
        store=store,
        results=ResultStore(settings.node.data_dir, database, destinations=["folder"]),
        reader=lambda: Reader(FakeFamily()),
        owner=str(os.getpid()),
    )
    for job in database.jobs.all():
        if job.state in (JobState.QUEUED, JobState.DELIVERING):
            pipeline.take(job.job_id)


def forked(body: Callable[[], None]) -> int:
    """Run in a process of its own; return its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            body()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_life(folder: Path, point: str, files: Sequence[Path]) -> None:
    die_at(point)
    live(folder, files)


def main(folder: Path, files: Sequence[Path]) -> None:
    """Print the exit statuses of the killed process and of its successor, by point."""
    statuses: dict[str, tuple[int, int]] = {}
    # Nobody is killed in this one: what it imports and looks up, each forked process would otherwise anew.
    (folder / "unharmed").mkdir()
    live(folder / "unharmed", files)
    for point in POINTS:
        here = folder / point
        here.mkdir()
        killed = forked(lambda here=here, point=point: killed_life(here, point, files))
        statuses[point] = (killed, forked(lambda here=here: live(here, files, late_s=3600)))
    print(json.dumps(statuses))  # noqa: T201 (the answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])

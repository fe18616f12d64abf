"""Builds what tests start from: a node's store with studies in it, without a network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydicom import dcmread

from dicom_node.admission import StoreCommand
from dicom_node.database.engine import Database, open_database
from dicom_node.file_meta import PREAMBLE
from dicom_node.intake import Intake
from dicom_node.settings import Destination, Node, NodeSettings
from dicom_node.storage import InstanceStore, ResultStore
from dicom_node.study import JobId, Reason
from model.families.family import Family
from model.reader import Reader
from worker.pipeline import Pipeline


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """One node's store with a worker's pipeline on it; results go to a folder."""

    database: Database
    store: InstanceStore
    pipeline: Pipeline
    delivered: Path

    def file(self, files: Sequence[Path]) -> JobId:
        """Take files in as if they had come by C-STORE, close their study, and return its job."""
        intake = Intake(self.store, self.database)
        for file in files:
            ds = dcmread(file, specific_tags=["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"])
            command = StoreCommand(
                str(ds.SOPClassUID), str(ds.SOPInstanceUID), str(ds.file_meta.TransferSyntaxUID), "TEST"
            )
            reception = intake.begin(command)
            reception.write(data_set_bytes(file))
            reception.finish()
        study = self.database.studies.get(str(ds.StudyInstanceUID))
        job_id = self.database.studies.complete(study, Reason.QUIET_PERIOD)
        assert job_id is not None
        return job_id


def data_set_bytes(file: Path) -> bytes:
    """Return what follows the file meta information."""
    content = file.read_bytes()
    start = len(PREAMBLE) + 12
    return content[start + int.from_bytes(content[start - 4 : start], "little") :]


def make_bench(
    folder: Path, make_family: Callable[[], Family], profile: Literal["air", "full"] = "air"
) -> Bench:
    """Make an empty store under `folder` and a pipeline that reads with `make_family()`."""
    delivered = folder / "delivered"
    destination = Destination(name="folder", kind="folder", folder=delivered, profile=profile)
    settings = NodeSettings(node=Node(data_dir=folder / "data"), destinations=(destination,))
    settings.node.data_dir.mkdir(parents=True)
    database = open_database(settings.node.database_url)
    store = InstanceStore(settings.node.data_dir, database)
    pipeline = Pipeline(
        settings=settings,
        database=database,
        store=store,
        results=ResultStore(settings.node.data_dir, database, destinations=[destination.name]),
        reader=lambda: Reader(make_family()),
        owner="test",
    )
    return Bench(database, store, pipeline, delivered)

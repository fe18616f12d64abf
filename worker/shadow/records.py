"""What a shadow leaves behind: one JSON file and the unsent objects for each job, under the data folder."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pydicom import Dataset

from dicom_node.storage import SHADOWS
from dicom_node.study import JobId
from model.reading import ModelIdentity
from worker.shadow.differences import Differences

RECORD = "record.json"
BEGUN = "begun"


@dataclass(frozen=True, slots=True)
class ShadowRecord:
    """What a candidate made of one job, and where it differs from what the serving weights make of it."""

    job_id: int
    study_instance_uid: str
    revision: int
    serving: str
    """Name, version and hash of the weights in service."""
    candidate: str
    differences: Differences | None = None
    """None if the candidate or the serving weights failed."""
    failure: str = ""
    """Why one of them failed, without patient data."""
    seconds: tuple[float, float] = (0.0, 0.0)
    """What reading took, serving weights first."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        said: dict[str, Any] = {**values, "seconds": tuple(values["seconds"])}
        if (found := values["differences"]) is not None:
            said["differences"] = Differences.from_json(found)
        return cls(**said)


class ShadowFolder:
    """Everything that one candidate has left: `DATA_DIR/shadow/<hash of the candidate>`."""

    def __init__(self, data_dir: Path, candidate: ModelIdentity) -> None:
        self.folder = data_dir / SHADOWS / candidate.weights_sha256[:12]

    def has(self, job_id: JobId) -> bool:
        return (self._of(job_id) / RECORD).exists()

    def was_begun(self, job_id: JobId) -> bool:
        """Whether the job was begun and never ended: it took the process with it."""
        return (self._of(job_id) / BEGUN).exists()

    def begin(self, job_id: JobId) -> None:
        self._of(job_id).mkdir(parents=True, exist_ok=True)
        (self._of(job_id) / BEGUN).touch()

    def keep(self, record: ShadowRecord, objects: Sequence[Dataset] = ()) -> None:
        """Keep the objects, then the record that says so; the record appears only when it is whole."""
        folder = self._of(JobId(record.job_id))
        folder.mkdir(parents=True, exist_ok=True)
        for ds in objects:
            ds.save_as(folder / f"{ds.SOPInstanceUID}.dcm", enforce_file_format=True)
        part = folder / f"{RECORD}.part"
        part.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
        part.rename(folder / RECORD)
        (folder / BEGUN).unlink(missing_ok=True)

    def _of(self, job_id: JobId) -> Path:
        return self.folder / str(job_id)


def records_of(folder: Path) -> Iterator[ShadowRecord]:
    """Read what a candidate left, in order of the jobs."""
    for path in sorted(folder.glob(f"*/{RECORD}"), key=lambda path: int(path.parent.name)):
        yield ShadowRecord.from_json(json.loads(path.read_text(encoding="utf-8")))

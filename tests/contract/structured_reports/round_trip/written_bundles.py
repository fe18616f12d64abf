"""The objects of a generated reading on disk, and what its report must state."""

from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmwrite
from pydicom.dataset import Dataset

from model.reading import Modality
from structured_reports.profiles import Profile
from structured_reports.registry import write_results
from tests.contract.structured_reports.round_trip.generated_readings import Case, generated
from tests.contract.structured_reports.round_trip.statements import Stated, stated_by_reading


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """One reading and the files that say it."""

    case: Case
    files: dict[str, list[Path]]
    """By modality; the report in codes is the last SR."""
    stated: Stated
    """What the report must state."""

    @property
    def report(self) -> Path:
        return self.files["SR"][-1]


def written_bundle(number: int, folder: Path) -> Bundle:
    """Write every object of generated reading `number` below `folder`."""
    case = generated(number)
    files: dict[str, list[Path]] = {}
    results: tuple[Dataset, ...] = write_results(case.reading, case.sources, case.run, Profile.FULL)
    for place, ds in enumerate(results):
        path = folder / f"{number}-{place}-{ds.Modality}.dcm"
        dcmwrite(path, ds, enforce_file_format=True)
        files.setdefault(str(ds.Modality), []).append(path)
    rows, columns = case.sources.current[0].get("PixelSpacing") or (1, 1)
    is_skin = case.reading.modality is Modality.DERM
    return Bundle(
        case, files, stated_by_reading(case.reading, case.sources, rows * columns if is_skin else None)
    )

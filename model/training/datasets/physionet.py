"""Where the projects of PhysioNet lie in a source folder, and where each of their files is published.

The source folder holds projects side by side, as `wget -r` leaves them below `physionet.org/files`: first the
name, then the version, e.g. `mimic-cxr-jpg/2.1.0`. A project that lies elsewhere is linked to its place.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from model.training.datasets.dataset_reader import Missing
from model.training.datasets.downloads import missing_files, published_digests

LICENCE = "PhysioNet Credentialed Health Data License 1.5.0"


@dataclass(frozen=True, slots=True)
class Project:
    """One published project."""

    name: str
    versions: tuple[str, ...]
    """Those whose layout is known, newest first."""

    @property
    def page(self) -> str:
        return f"https://physionet.org/content/{self.name}/{self.versions[0]}/"

    @property
    def licence_page(self) -> str:
        return f"https://physionet.org/content/{self.name}/view-license/{self.versions[0]}/"

    def folder(self, source: Path) -> str:
        """Find the project below `source`; where its newest version would lie, if it is not there."""
        places = [f"{self.name}/{version}" for version in self.versions]
        found = (place for place in (*places, self.name) if (source / place).is_dir())
        return next(found, places[0])

    def address(self, folder: str, file: str) -> str:
        """Where a file of the version in `folder` is published."""
        version = folder.removeprefix(self.name).strip("/") or self.versions[0]
        return f"https://physionet.org/files/{self.name}/{version}/{file}"

    def missing(self, source: Path, files: Iterable[str]) -> Iterator[Missing]:
        """Name the files of this project that are missing or not what PhysioNet's list of digests says."""
        folder = self.folder(source)
        addresses = {f"{folder}/{file}": self.address(folder, file) for file in files}
        digests = published_digests(source / folder / "SHA256SUMS.txt")
        return missing_files(source, addresses, {f"{folder}/{file}": sha for file, sha in digests.items()})


MIMIC_CXR = Project("mimic-cxr", ("2.1.0", "2.0.0"))
MIMIC_CXR_JPG = Project("mimic-cxr-jpg", ("2.1.0", "2.0.0"))
CHEST_IMAGENOME = Project("chest-imagenome", ("1.0.0",))
MEDICAL_DIFF_VQA = Project("medical-diff-vqa", ("1.0.1", "1.0.0"))
MS_CXR = Project("ms-cxr", ("1.1.0", "1.0.0", "0.1"))

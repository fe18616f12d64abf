"""The images of MIMIC-CXR-JPG, to which three other datasets refer: their files, sizes, views and splits."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.errors import DatasetError, RowError
from model.training.datasets.dataset_reader import Missing
from model.training.datasets.downloads import missing_files
from model.training.datasets.physionet import MIMIC_CXR_JPG
from model.training.datasets.record import SPLITS, RecordImage, Split
from model.training.datasets.tables import Row, Table

METADATA = "mimic-cxr-2.0.0-metadata.csv.gz"
SPLIT = "mimic-cxr-2.0.0-split.csv.gz"
"""Both names are the same in versions 2.0.0 and 2.1.0."""

SPLIT_RULE = f"the official split of MIMIC-CXR ({SPLIT}); the paper trains on train and validate"

_FRONTAL = ("PA", "AP")


@dataclass(frozen=True, slots=True)
class MimicImage:
    """One row of the metadata."""

    dicom_id: str
    subject: str
    study: str
    view: str | None
    size: tuple[int, int] | None
    """(columns, rows)."""

    @property
    def file(self) -> str:
        """Relative to the folder of MIMIC-CXR-JPG."""
        return f"{study_file(self.subject, self.study)}/{self.dicom_id}.jpg"


def study_file(subject: str, study: str) -> str:
    """`files/p10/p10000032/s50414267`: a folder of images, or with `.txt` a report."""
    return f"files/p{subject[:2]}/p{subject}/s{study}"


class MimicImages:
    """Looks up images by their `dicom_id`."""

    def __init__(self, source: Path) -> None:
        """Read metadata and split.

        Raises:
            DatasetError: one of the two tables is missing or not in its layout.
        """
        self.source = source
        self.folder = MIMIC_CXR_JPG.folder(source)
        metadata = Table(source / self.folder / METADATA, ("dicom_id", "subject_id", "study_id"))
        self.by_id = {row["dicom_id"]: _image(row) for row in metadata}
        splits = Table(source / self.folder / SPLIT, ("study_id", "split"))
        self._splits: Mapping[str, str] = {row["study_id"]: row["split"] for row in splits}

    def split(self, study: str) -> Split:
        """Look up the official split of a study.

        Raises:
            RowError: it has none.
        """
        for split in SPLITS:
            if split == self._splits.get(study):
                return split
        raise RowError("the study is in no official split")

    def image(self, dicom_id: str) -> MimicImage:
        """Look up an image.

        Raises:
            RowError: MIMIC-CXR-JPG does not name it.
        """
        if dicom_id not in self.by_id:
            raise RowError("MIMIC-CXR-JPG does not name its image")
        return self.by_id[dicom_id]

    def record_image(self, image: MimicImage) -> RecordImage:
        """Name an image as records do.

        Raises:
            RowError: it was not downloaded.
        """
        path = f"{self.folder}/{image.file}"
        if not (self.source / path).is_file():
            raise RowError("an image of it was not downloaded")
        return RecordImage(path, image.view, image.size)

    def studies(self) -> dict[str, list[MimicImage]]:
        """Gather the images of each study: frontal ones first, otherwise as the metadata lists them."""
        found: dict[str, list[MimicImage]] = {}
        for image in self.by_id.values():
            found.setdefault(image.study, []).append(image)
        for images in found.values():
            images.sort(
                key=lambda image: _FRONTAL.index(image.view) if image.view in _FRONTAL else len(_FRONTAL)
            )
        return found

    def missing(self, images: Iterable[MimicImage]) -> Iterator[Missing]:
        """Name the files of images that are missing or cut short."""
        files = {image.file: None for image in images}
        addresses = {f"{self.folder}/{file}": MIMIC_CXR_JPG.address(self.folder, file) for file in files}
        return missing_files(self.source, addresses)


def missing_tables(source: Path) -> list[Missing]:
    """Name which of metadata and split are missing."""
    return list(MIMIC_CXR_JPG.missing(source, (METADATA, SPLIT)))


def _image(row: Row) -> MimicImage:
    columns, rows = row["Columns"], row["Rows"]
    try:
        size = (int(columns), int(rows)) if columns and rows else None
    except ValueError as exc:
        raise DatasetError(f"{METADATA} holds a size that is no number") from exc
    return MimicImage(row["dicom_id"], row["subject_id"], row["study_id"], row["ViewPosition"] or None, size)

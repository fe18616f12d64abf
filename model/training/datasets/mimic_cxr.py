"""MIMIC-CXR (Johnson 2019): images and labels from MIMIC-CXR-JPG, reports from MIMIC-CXR."""

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from model.errors import RowError
from model.reading import Modality
from model.training.datasets.chexpert_labels import OBSERVATIONS, observed
from model.training.datasets.dataset_reader import Case, DatasetCard, DatasetReader, Missing
from model.training.datasets.downloads import opened_archive
from model.training.datasets.mimic_images import (
    METADATA,
    SPLIT,
    SPLIT_RULE,
    MimicImage,
    MimicImages,
    missing_tables,
    study_file,
)
from model.training.datasets.physionet import LICENCE, MIMIC_CXR, MIMIC_CXR_JPG
from model.training.datasets.record import Record, RecordImage
from model.training.datasets.report_sections import sections_of
from model.training.datasets.tables import Row, Table

CHEXPERT, NEGBIO = "mimic-cxr-2.0.0-chexpert.csv.gz", "mimic-cxr-2.0.0-negbio.csv.gz"
REPORTS = "mimic-cxr-reports.zip"


class Reports:
    """Reads reports out of the published archive, or beside it where it was unpacked."""

    def __init__(self, source: Path) -> None:
        """Open the archive if it is there.

        Raises:
            DatasetError: it is cut short.
        """
        self.folder = source / MIMIC_CXR.folder(source)
        archive = self.folder / REPORTS
        self.archive = opened_archive(archive) if archive.is_file() else None

    def text(self, subject: str, study: str) -> str:
        """Read the report of a study.

        Raises:
            RowError: it is not there or damaged.
        """
        name = f"{study_file(subject, study)}.txt"
        try:
            found = self.archive.read(name) if self.archive else (self.folder / name).read_bytes()
        except (KeyError, FileNotFoundError):
            raise RowError("its report is missing") from None
        except (zipfile.BadZipFile, zlib.error):
            raise RowError("its report is damaged") from None
        return found.decode("utf-8", errors="replace")


class Labels:
    """What two labellers read in the reports, by study."""

    def __init__(self, source: Path) -> None:
        """Read both tables.

        Raises:
            DatasetError: one of them is missing or not in its layout.
        """
        folder = source / MIMIC_CXR_JPG.folder(source)
        self._tables = [
            {row["study_id"]: _named(row) for row in Table(folder / file, ("study_id", "No Finding"))}
            for file in (CHEXPERT, NEGBIO)
        ]

    def of(self, study: str) -> dict[str, bool | None]:
        """Take CheXpert's labels; where NegBio says the opposite, nothing is certain."""
        chexpert, negbio = (observed(table.get(study, {})) for table in self._tables)
        opposed = {name for name, value in chexpert.items() if {value, negbio.get(name)} == {True, False}}
        return {name: None if name in opposed else value for name, value in chexpert.items()}


def _named(row: Row) -> dict[str, str]:
    """The cells of a row that hold a label: few of them do."""
    return {column: row[column] for column in OBSERVATIONS if row[column]}


def _shown(images: MimicImages, study: Sequence[MimicImage]) -> tuple[RecordImage, ...]:
    """Name the images of a study that were downloaded."""
    found: list[RecordImage] = []
    for image in study:
        try:
            found.append(images.record_image(image))
        except RowError:
            continue
    if not found:
        raise RowError("no image of it was downloaded")
    return tuple(found)


def _record(images: MimicImages, reports: Reports, labels: Labels, study: Sequence[MimicImage]) -> Record:
    subject, number = study[0].subject, study[0].study
    report = sections_of(reports.text(subject, number), number)
    told = labels.of(number)
    if not (report.findings or report.impression or told):
        raise RowError("it has neither findings nor impression nor labels")
    return Record(
        dataset="mimic-cxr",
        record_id=f"s{number}",
        subject=f"p{subject}",
        study=f"s{number}",
        split=images.split(number),
        modality=Modality.CXR,
        images=_shown(images, study),
        indication=report.indication,
        comparison=report.comparison,
        findings=report.findings,
        impression=report.impression,
        labels=told,
    )


def check(source: Path) -> list[Missing]:
    """Name every table, report and image that is missing or cut short."""
    found = missing_tables(source) + list(MIMIC_CXR_JPG.missing(source, (CHEXPERT, NEGBIO)))
    if any(file.path.endswith((METADATA, SPLIT)) for file in found):
        return found + list(MIMIC_CXR.missing(source, (REPORTS,)))
    images = MimicImages(source)
    return [*found, *_missing_reports(source, images.studies()), *images.missing(images.by_id.values())]


def _missing_reports(source: Path, studies: Mapping[str, Sequence[MimicImage]]) -> Iterator[Missing]:
    folder = source / MIMIC_CXR.folder(source)
    if (folder / REPORTS).is_file() or not (folder / "files").is_dir():
        return MIMIC_CXR.missing(source, (REPORTS,))
    texts = (f"{study_file(images[0].subject, study)}.txt" for study, images in studies.items())
    return MIMIC_CXR.missing(source, texts)


def cases(source: Path) -> Sequence[Case]:
    """List one record for each study."""
    images, reports, labels = MimicImages(source), Reports(source), Labels(source)
    return [
        Case(f"s{number}", partial(_record, images, reports, labels, study))
        for number, study in images.studies().items()
    ]


MIMIC_CXR_READER = DatasetReader(
    DatasetCard(
        name="MIMIC-CXR",
        version="MIMIC-CXR-JPG 2.1.0 or 2.0.0 with the reports of MIMIC-CXR 2.1.0 or 2.0.0",
        licence=LICENCE,
        licence_address=MIMIC_CXR.licence_page,
        address=MIMIC_CXR_JPG.page,
        citation="Johnson, Pollard, Berkowitz et al.: MIMIC-CXR, a de-identified publicly available "
        "database of chest radiographs with free-text reports. Sci Data 6, 317 (2019).",
        split_rule=SPLIT_RULE,
        layout="mimic-cxr-jpg/2.1.0/ with its four tables and files/, and mimic-cxr/2.1.0/ with "
        f"{REPORTS} or what it holds, side by side",
        preprocessing=(
            "Report sections are cut by their headings as the publishers' own parser does, with its "
            "corrections for single studies; a closing paragraph without heading is not used.",
            "The history stands for the indication where there is no indication.",
            "Labels are CheXpert's; where NegBio's say the opposite they are uncertain.",
            "Frontal images come first.",
        ),
    ),
    check,
    cases,
)

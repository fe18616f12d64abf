"""CheXpert (Irvin 2019): chest radiographs with 14 observations, some of them uncertain."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from model.errors import DatasetError, RowError
from model.reading import Modality
from model.training.datasets.chexpert_labels import observed
from model.training.datasets.dataset_reader import Case, DatasetCard, DatasetReader, Missing
from model.training.datasets.published_files import first_existing, missing, require
from model.training.datasets.record import Record, RecordImage, Split
from model.training.datasets.tables import Row, Table

_ADDRESS = "https://stanfordaimi.azurewebsites.net/datasets/8cbd9ed4-2eb9-4565-affc-111cf4f7ebe2"

_TABLES: Mapping[Split, tuple[str, ...]] = {
    "train": ("train.csv",),
    "validate": ("valid.csv",),
    "test": ("test_labels.csv", "test.csv"),
}

_SEXES: Mapping[str, str] = {"male": "M", "female": "F"}
PATH = re.compile(r"(?:^|/)((?:train|valid|test)/(patient\d+)/(study\d+)/view\d+_(frontal|lateral)\.jpg)$")
"""From `train/` on: what stands before is the folder that the publisher used."""


@dataclass(frozen=True, slots=True)
class _Image:
    """One row: a view with the observations of its study."""

    path: str
    patient: str
    study: str
    frontal: bool
    row: Row


def _parsed(row: Row) -> _Image | None:
    found = PATH.search(row["Path"])
    if found is None:
        return None
    return _Image(found[1], found[2], f"{found[2]}/{found[3]}", found[4] == "frontal", row)


def _tables(source: Path) -> Iterator[tuple[Split, Table]]:
    """Tables that are there: who only measures needs the last alone."""
    for split, names in _TABLES.items():
        path = source / first_existing(source, names)
        if path.exists():
            yield split, Table(path, ("Path", "Cardiomegaly"))


def _view(image: _Image) -> str:
    if not image.frontal:
        return "LATERAL"
    return image.row["AP/PA"] if image.row["AP/PA"] in ("AP", "PA") else "FRONTAL"


def _record(source: Path, images: Sequence[_Image], split: Split) -> Record:
    first = images[0]
    labels = observed(first.row.cells)
    if any(observed(image.row.cells) != labels for image in images):
        raise RowError("views of one study differ in their observations")
    return Record(
        dataset="chexpert",
        record_id=first.study,
        subject=first.patient,
        study=first.study,
        split=split,
        modality=Modality.CXR,
        images=tuple(RecordImage(require(source, image.path), _view(image)) for image in images),
        age=first.row.years("Age"),
        sex=_SEXES.get(first.row["Sex"].lower()),
        labels=labels,
    )


def _malformed(row: Row) -> Record:
    raise RowError("Path leads to no view of a study")


def check(source: Path) -> list[Missing]:
    """Name the tables that are missing, and every image of the others."""
    found: list[Missing] = []
    for names in _TABLES.values():
        found += missing(source, first_existing(source, names), _ADDRESS)
    for _, table in _tables(source):
        for image in filter(None, map(_parsed, table)):
            found += missing(source, image.path, _ADDRESS)
    return found


def cases(source: Path) -> Sequence[Case]:
    """List one record for each study, its frontal views first.

    Raises:
        DatasetError: no table is there.
    """
    listed: list[Case] = []
    for split, table in _tables(source):
        studies: dict[str, list[_Image]] = {}
        for row in table:
            image = _parsed(row)
            if image is None:
                listed.append(Case(f"{split} row {row.start}", partial(_malformed, row)))
            else:
                studies.setdefault(image.study, []).append(image)
        for study, images in studies.items():
            images.sort(key=lambda image: (not image.frontal, image.path))
            listed.append(Case(f"{split}/{study}", partial(_record, source, images, split)))
    if not listed:
        raise DatasetError("none of train.csv, valid.csv and test_labels.csv is there")
    return listed


_CARD = DatasetCard(
    name="CheXpert",
    version="1.0, and the test labels that were published with CheXlocalize (2022)",
    licence="Stanford University Dataset Research Use Agreement",
    licence_address=_ADDRESS,
    address=_ADDRESS,
    citation="Irvin et al.: CheXpert: A large chest radiograph dataset with uncertainty labels and expert "
    "comparison. AAAI 33, 590 (2019).",
    split_rule="as published: train.csv, valid.csv, test_labels.csv (500 studies, 668 images); the paper "
    "uses the last only",
    layout="train.csv, valid.csv, test_labels.csv, and train/, valid/, test/ with "
    "patientNNNNN/studyN/viewN_frontal.jpg; CheXpert-v1.0 and CheXpert-v1.0-small alike",
    preprocessing=(
        "Views of one study are one record, frontal ones first.",
        "Uncertain observations (-1) are None; those that are not mentioned are left out.",
    ),
)

CHEXPERT_READER = DatasetReader(_CARD, check, cases)

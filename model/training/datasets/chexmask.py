"""CheXmask (Gaggion 2024): masks of lungs and heart for the radiographs of five public datasets."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from model.errors import DatasetError, RowError
from model.reading import Modality
from model.training.datasets.chexmask_images import IMAGE_SOURCES, Find
from model.training.datasets.dataset_reader import Case, DatasetCard, DatasetReader, Missing
from model.training.datasets.physionet import Project
from model.training.datasets.published_files import missing, require
from model.training.datasets.record import Record, RecordMask
from model.training.datasets.run_lengths import runs_of_starts
from model.training.datasets.tables import Row, Table

CHEXMASK = Project("chexmask-cxr-segmentation-data", ("1.0.0", "0.4"))

ORGANS: Mapping[str, str] = {"Left Lung": "left lung", "Right Lung": "right lung", "Heart": "heart"}
"""Columns; sides are the patient's."""

QUALITY = "Dice RCA (Mean)"
LEAST_QUALITY = 0.7
"""Estimated Dice below which the publisher advises against a mask."""


def _path(source: Path, name: str) -> str:
    return f"{CHEXMASK.folder(source)}/OriginalResolution/{name}.csv"


def _tables(source: Path) -> Iterator[tuple[str, Table]]:
    """Tables that are there, by name."""
    for name, images in IMAGE_SOURCES.items():
        path = source / _path(source, name)
        if path.exists():
            yield name, Table(path, (images.key, QUALITY, *ORGANS, "Height", "Width"))


def _size(row: Row) -> tuple[int, int]:
    """Read (columns, rows)."""
    columns, rows = row.number("Width"), row.number("Height")
    if not (columns and rows and columns > 0 and rows > 0 and columns.is_integer() and rows.is_integer()):
        raise RowError("Width or Height is no number of pixels")
    return int(columns), int(rows)


def _record(source: Path, name: str, table: Table, start: int, find: Find) -> Record:
    row = table.row_at(start)
    shown = find(row[IMAGE_SOURCES[name].key])
    quality = row.number(QUALITY)
    if quality is None or not quality >= LEAST_QUALITY:
        raise RowError(f"{QUALITY} is below {LEAST_QUALITY}")
    require(source, shown.image.path)
    size = _size(row)
    return Record(
        dataset="chexmask",
        record_id=f"{name}/{row[IMAGE_SOURCES[name].key]}",
        subject=f"{name}/{shown.subject}",
        study=f"{name}/{shown.study}",
        split=shown.split,
        modality=Modality.CXR,
        images=(shown.image,),
        masks=tuple(
            RecordMask(label, 0, rle=runs_of_starts(row[column], size)) for column, label in ORGANS.items()
        ),
    )


def check(source: Path) -> list[Missing]:
    """Name every picture that is missing of the tables that are there; the paper's two, if none is."""
    present = [name for name, _ in _tables(source)]
    names = present or ["MIMIC-CXR-JPG", "CheXpert"]
    folder = CHEXMASK.folder(source)
    found = list(CHEXMASK.missing(source, [_path(source, name).removeprefix(f"{folder}/") for name in names]))
    for name, table in _tables(source):
        images = IMAGE_SOURCES[name]
        try:
            find = images.finder(source)
        except DatasetError as exc:
            found.append(Missing(name, str(exc), images.address))
            continue
        for row in table:
            try:
                path = find(row[images.key]).image.path
            except RowError:
                continue
            found += missing(source, path, images.address)
    return found


def cases(source: Path) -> Sequence[Case]:
    """List one record for each row, by its place: a table is too large to be held.

    Raises:
        DatasetError: no table is there, or one of a dataset of pictures is missing.
    """
    listed: list[Case] = []
    for name, table in _tables(source):
        find = IMAGE_SOURCES[name].finder(source)
        listed += [
            Case(f"{name} at byte {row.start}", partial(_record, source, name, table, row.start, find))
            for row in table
        ]
    if not listed:
        raise DatasetError(f"{_path(source, '*')} is missing")
    return listed


_CARD = DatasetCard(
    name="CheXmask",
    version="1.0.0, OriginalResolution",
    licence="CC BY 4.0 for the masks; the pictures keep the terms of their publishers",
    licence_address="https://creativecommons.org/licenses/by/4.0/",
    address=CHEXMASK.page,
    citation="Gaggion et al.: CheXmask: a large-scale dataset of anatomical segmentation masks for "
    "multi-center chest x-ray images. Sci Data 11, 511 (2024).",
    split_rule="as publishers of the pictures split them; one in ten patients of PadChest, which has none, "
    "is test (the paper trains on MIMIC-CXR and tests on 200 pictures of CheXpert)",
    layout="chexmask-cxr-segmentation-data/1.0.0/OriginalResolution/*.csv, and its pictures for each table: "
    "mimic-cxr-jpg/2.1.0/, CheXpert-v1.0/ (or -small), ChestX-Ray8/, Padchest/, vindr-cxr/1.0.0/",
    preprocessing=(f"Rows with {QUALITY} below {LEAST_QUALITY} are left out, as their publisher advises.",),
)

CHEXMASK_READER = DatasetReader(_CARD, check, cases)

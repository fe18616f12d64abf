"""HAM10000 (Tschandl 2018): dermoscopy with diagnosis and lesion mask, and the test images of ISIC 2018."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from model.errors import RowError
from model.reading import SKIN_LESIONS, Modality
from model.training.datasets.dataset_reader import Case, DatasetCard, DatasetReader, Missing
from model.training.datasets.published_files import first_existing, missing, require
from model.training.datasets.record import Record, RecordImage, RecordMask, Split
from model.training.datasets.splits import in_tenth
from model.training.datasets.tables import Row, Table

_ADDRESS = "https://doi.org/10.7910/DVN/DBW86T"

_METADATA = ("HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab")
_TEST = ("ISIC2018_Task3_Test_GroundTruth.csv", "ISIC2018_Task3_Test_GroundTruth.tab")
_IMAGES = ("HAM10000_images_part_1", "HAM10000_images_part_2", "ISIC2018_Task3_Test_Images")
_MASKS = "HAM10000_segmentations_lesion_tschandl"

DIAGNOSES: Mapping[str, str] = dict(
    zip(("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"), SKIN_LESIONS, strict=True)
)
"""Column `dx` of the metadata; in capitals, the columns of the challenge's own ground truth."""

_SEXES: Mapping[str, str] = {"male": "M", "female": "F"}


def _image(source: Path, image_id: str) -> str:
    """Find an image in its part, also where the archive was unpacked into a folder of its own name."""
    folders = [folder for part in _IMAGES for folder in (part, f"{part}/{part}")]
    return first_existing(source, [f"{folder}/{image_id}.jpg" for folder in folders])


def _mask(source: Path, image_id: str) -> str:
    name = f"{image_id}_segmentation.png"
    return first_existing(source, (f"{_MASKS}/{name}", f"{_MASKS}/{_MASKS}/{name}"))


def _tables(source: Path) -> Iterator[tuple[Table, bool]]:
    """Both tables, and whether it is that of the test set, where it is there."""
    yield Table(source / first_existing(source, _METADATA), ("lesion_id", "image_id", "dx")), False
    test = source / first_existing(source, _TEST)
    if test.exists():
        yield Table(test), True


def _image_id(row: Row) -> str:
    return row["image_id"] or row["image"]


def _diagnosis(row: Row) -> str:
    marked = [code for code in DIAGNOSES if (row.number(code.upper()) or 0) > 0.5]
    code = row["dx"].lower() or (marked[0] if len(marked) == 1 else "")
    if code not in DIAGNOSES:
        raise RowError("a diagnosis is none of the seven")
    return DIAGNOSES[code]


def _split(lesion: str, *, test: bool) -> Split:
    if test:
        return "test"
    return "validate" if in_tenth(lesion, "ham10000") else "train"


def _record(source: Path, row: Row, *, test: bool) -> Record:
    image_id = _image_id(row)
    lesion = row["lesion_id"] or image_id
    masks = () if test else (RecordMask("lesion", 0, require(source, _mask(source, image_id))),)
    return Record(
        dataset="ham10000",
        record_id=image_id,
        subject=lesion,
        study=image_id,
        split=_split(lesion, test=test),
        modality=Modality.DERM,
        images=(RecordImage(require(source, _image(source, image_id))),),
        age=row.years("age"),
        sex=_SEXES.get(row["sex"].lower()),
        masks=masks,
        diagnosis=_diagnosis(row),
    )


def check(source: Path) -> list[Missing]:
    """Name every image and mask of the tables that is not there."""
    tables = (first_existing(source, _METADATA), first_existing(source, _TEST))
    found = [one for path in tables for one in missing(source, path, _ADDRESS)]
    if found and found[0].path == tables[0]:
        return found
    for table, test in _tables(source):
        for row in table:
            image_id = _image_id(row)
            found += missing(source, _image(source, image_id), _ADDRESS)
            found += () if test else missing(source, _mask(source, image_id), _ADDRESS)
    return found


def cases(source: Path) -> Sequence[Case]:
    """List one record for each image."""
    return [
        Case(_image_id(row) or f"row {row.start}", partial(_record, source, row, test=test))
        for table, test in _tables(source)
        for row in table
    ]


HAM10000_READER = DatasetReader(
    DatasetCard(
        name="HAM10000",
        version="Harvard Dataverse DBW86T, version 4",
        licence="CC BY-NC 4.0",
        licence_address="https://creativecommons.org/licenses/by-nc/4.0/",
        address=_ADDRESS,
        citation="Tschandl, Rosendahl, Kittler: The HAM10000 dataset. Sci Data 5, 180161 (2018). "
        "Masks: Tschandl et al., Nat Med 26, 1229 (2020).",
        split_rule="test: the 1,511 images of ISIC 2018 task 3; validate: one lesion in ten of HAM10000, "
        "drawn by lesion_id (the paper measures masks on a random tenth); train: the others",
        layout=f"{_METADATA[0]} (or without suffix), {_IMAGES[0]}/, {_IMAGES[1]}/, {_MASKS}/, {_TEST[0]} and "
        f"{_IMAGES[2]}/",
        preprocessing=(
            "All images of one lesion are in one split.",
            "Diagnoses are spelled as model.reading.SKIN_LESIONS.",
        ),
    ),
    check,
    cases,
)

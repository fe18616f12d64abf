"""MS-CXR (Boecking 2022): phrases of reports with their boxes on images of MIMIC-CXR-JPG."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from pydantic import TypeAdapter, ValidationError

from model.errors import DatasetError, RowError
from model.reading import Modality
from model.training.datasets.chexpert_labels import OBSERVATIONS
from model.training.datasets.dataset_reader import Case, DatasetCard, DatasetReader, Missing
from model.training.datasets.mimic_images import MimicImages, missing_tables
from model.training.datasets.physionet import LICENCE, MS_CXR
from model.training.datasets.record import Record, RecordBox, RecordImage, Split
from model.training.datasets.tables import Row, Table

_NAMES = tuple(
    f"MS_CXR_Local_Alignment_v{version}.{suffix}"
    for version in ("1.1.0", "1.0.0")
    for suffix in ("csv", "json")
)
"""Table and COCO file say the same; versions 0.1 and 1.0.0 of the project hold files of version 1.0.0."""

_SPLITS: Mapping[str, Split] = {
    "train": "train",
    "val": "validate",
    "validate": "validate",
    "test": "test",
    "": "test",
}


@dataclass(frozen=True, slots=True)
class Phrase:
    """What a report says of one rectangle of an image."""

    dicom_id: str
    category: str
    text: str
    box: tuple[float, float, float, float]
    """x, y, width, height in pixels."""
    size: tuple[int, int]
    """(columns, rows) of the image."""
    split: str = ""
    """Empty in versions before 1.1.0."""


@dataclass(frozen=True, slots=True)
class _CocoImage:
    id: int
    file_name: str
    width: int
    height: int
    split: str = ""


@dataclass(frozen=True, slots=True)
class _CocoCategory:
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class _CocoAnnotation:
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    label_text: str
    split: str = ""


@dataclass(frozen=True, slots=True)
class _Coco:
    images: tuple[_CocoImage, ...]
    categories: tuple[_CocoCategory, ...]
    annotations: tuple[_CocoAnnotation, ...]


_COCO = TypeAdapter(_Coco)


def phrases_of(path: Path) -> Iterator[Phrase]:
    """Read either published file.

    Raises:
        DatasetError: it is missing or not in its layout.
    """
    if path.suffix == ".csv":
        needed = (
            "dicom_id",
            "category_name",
            "label_text",
            "x",
            "y",
            "w",
            "h",
            "image_width",
            "image_height",
        )
        return map(_phrase, Table(path, needed))
    try:
        return _coco_phrases(_COCO.validate_json(path.read_bytes()))
    except (OSError, ValidationError):
        raise DatasetError(f"{path.name} is missing or not in its layout") from None


def _phrase(row: Row) -> Phrase:
    numbers = [row.number(name) or 0 for name in ("x", "y", "w", "h", "image_width", "image_height")]
    x, y, width, height, columns, rows = numbers
    return Phrase(
        row["dicom_id"],
        row["category_name"],
        row["label_text"],
        (x, y, width, height),
        (int(columns), int(rows)),
        row["split"],
    )


def _coco_phrases(coco: _Coco) -> Iterator[Phrase]:
    images = {image.id: image for image in coco.images}
    categories = {category.id: category.name for category in coco.categories}
    for said in coco.annotations:
        image = images.get(said.image_id)
        if image is not None:
            yield Phrase(
                PurePosixPath(image.file_name).stem,
                categories.get(said.category_id, ""),
                said.label_text,
                said.bbox,
                (image.width, image.height),
                said.split or image.split,
            )


def _file(source: Path) -> Path:
    folder = source / MS_CXR.folder(source)
    return next((folder / name for name in _NAMES if (folder / name).is_file()), folder / _NAMES[0])


def _by_image(source: Path) -> dict[tuple[str, str], list[Phrase]]:
    """Gather the phrases of each image and split."""
    found: dict[tuple[str, str], list[Phrase]] = {}
    for phrase in phrases_of(_file(source)):
        found.setdefault((phrase.dicom_id, phrase.split), []).append(phrase)
    return found


def _record(images: MimicImages, phrases: Sequence[Phrase]) -> Record:
    first = phrases[0]
    if first.split not in _SPLITS:
        raise RowError("its split has no known name")
    image = images.image(first.dicom_id)
    path = images.record_image(image).path
    return Record(
        dataset="ms-cxr",
        record_id=f"{first.dicom_id}{first.split and '-'}{first.split}",
        subject=f"p{image.subject}",
        study=f"s{image.study}",
        split=_SPLITS[first.split],
        modality=Modality.CXR,
        images=(RecordImage(path, image.view, first.size),),
        boxes=tuple(map(_box, phrases)),
    )


def _box(phrase: Phrase) -> RecordBox:
    x, y, width, height = phrase.box
    if min(phrase.size) <= 0:
        raise RowError("the size of its image is unknown")
    edges = (x, y, x + width, y + height)
    x1, y1, x2, y2 = (min(max(edge / phrase.size[n % 2], 0), 1) for n, edge in enumerate(edges))
    label = OBSERVATIONS.get(phrase.category, phrase.category.lower())
    return RecordBox(label, 0, (x1, y1, x2, y2), " ".join(phrase.text.split()) or None)


def check(source: Path) -> list[Missing]:
    """Name every table and image that is missing or cut short."""
    found = list(MS_CXR.missing(source, (_file(source).name,))) + missing_tables(source)
    if found:
        return found
    images = MimicImages(source)
    named = dict.fromkeys(dicom_id for dicom_id, _ in _by_image(source))
    return list(images.missing(images.by_id[name] for name in named if name in images.by_id))


def cases(source: Path) -> Sequence[Case]:
    """List one record for each image."""
    images = MimicImages(source)
    return [
        Case(f"{dicom_id}{split and '-'}{split}", partial(_record, images, phrases))
        for (dicom_id, split), phrases in _by_image(source).items()
    ]


MS_CXR_READER = DatasetReader(
    DatasetCard(
        name="MS-CXR",
        version="1.1.0; also 1.0.0 and 0.1, which have no split",
        licence=LICENCE,
        licence_address=MS_CXR.licence_page,
        address=MS_CXR.page,
        citation="Boecking, Usuyama, Bannur et al.: Making the most of text semantics to improve biomedical "
        "vision-language processing. ECCV (2022).",
        split_rule="the published column of version 1.1.0 (train, val, test); all is test in earlier "
        "versions. The MedVersa paper tests on all 1,448 phrases and trains on none",
        layout=f"ms-cxr/1.1.0/ with {_NAMES[0]} or {_NAMES[1]}, and mimic-cxr-jpg/2.1.0/, side by side",
        preprocessing=(
            "Boxes are fractions of the image; what reaches out of it is cut off.",
            "Categories are spelled as model.vocabulary does; the phrase is the caption of its box.",
        ),
    ),
    check,
    cases,
)

"""NIH ChestX-ray14 (Wang 2017): chest radiographs with text-mined labels, and boxes for some."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from model.errors import RowError
from model.reading import Modality
from model.training.datasets.dataset_reader import Case, DatasetCard, DatasetReader, Missing
from model.training.datasets.published_files import first_existing, missing, require
from model.training.datasets.record import Record, RecordBox, RecordImage, Split
from model.training.datasets.splits import in_tenth
from model.training.datasets.tables import Row, Table

_ADDRESS = "https://nihcc.app.box.com/v/ChestXray-NIHCC"

_ENTRIES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
_BOXES = "BBox_List_2017.csv"
_TRAIN, _TEST = "train_val_list.txt", "test_list.txt"

SIDE = 1024
"""Pixels of every published picture, to which it was squeezed; boxes count these."""

FINDINGS: Mapping[str, str] = {
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "enlarged cardiac silhouette",
    "Effusion": "pleural effusion",
    "Infiltration": "infiltration",
    "Mass": "lung mass",
    "Nodule": "lung nodule",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
    "Consolidation": "consolidation",
    "Edema": "pulmonary edema/hazy opacity",
    "Emphysema": "copd/emphysema",
    "Fibrosis": "pulmonary fibrosis",
    "Pleural_Thickening": "pleural thickening",
    "Hernia": "hernia",
}
"""Published names, and the vocabulary's where it has one for the same thing."""

_OTHER_SPELLINGS: Mapping[str, str] = {"Infiltrate": "Infiltration"}
"""The list of boxes names one finding otherwise."""

_NO_FINDING = "No Finding"


@dataclass(frozen=True, slots=True)
class _Download:
    """What all records need to know."""

    source: Path
    images: Mapping[str, str]
    """Path of each picture by its name, whichever folder it was unpacked into."""
    splits: Mapping[str, str]
    """`train_val` or `test` of each picture."""
    boxes: Mapping[str, Sequence[RecordBox]]


def picture_paths(source: Path) -> dict[str, str]:
    """Find each picture by its name in `images/`, `images_001/` to `images_012/`, or `images/` in those."""
    folders = [found for folder in sorted(source.glob("images*")) for found in (folder, folder / "images")]
    return {
        path.name: path.relative_to(source).as_posix()
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
        if path.suffix == ".png"
    }


def published_lists(source: Path) -> dict[str, str]:
    """Read the two published lists: `train_val` or `test` by the name of a picture."""
    found: dict[str, str] = {}
    for path, split in ((source / _TRAIN, "train_val"), (source / _TEST, "test")):
        if path.is_file():
            found |= dict.fromkeys(path.read_text().split(), split)
    return found


def _box(row: Row) -> RecordBox:
    """Turn x, y, w, h in pixels into fractions; what sticks out is cut off."""
    numbers = [row.number(column) for column in ("Bbox [x", "y", "w", "h]")]
    finding = _OTHER_SPELLINGS.get(row["Finding Label"], row["Finding Label"])
    x, y, width, height = (number if number is not None else float("nan") for number in numbers)
    corners = [min(max(edge / SIDE, 0.0), 1.0) for edge in (x, y, x + width, y + height)]
    if finding not in FINDINGS or not (corners[0] < corners[2] and corners[1] < corners[3]):
        raise RowError("a box is empty or of no known finding")
    return RecordBox(FINDINGS[finding], 0, (corners[0], corners[1], corners[2], corners[3]))


def _boxes(source: Path) -> tuple[dict[str, list[RecordBox]], list[Case]]:
    """Boxes by picture, and a case for each row that is none."""
    boxes: dict[str, list[RecordBox]] = {}
    bad: list[Case] = []
    for row in Table(source / _BOXES, ("Image Index", "Bbox [x")) if (source / _BOXES).exists() else ():
        try:
            boxes.setdefault(row["Image Index"], []).append(_box(row))
        except RowError:
            bad.append(Case(f"box at byte {row.start}", partial(_refused, row)))
    return boxes, bad


def _refused(row: Row) -> Record:
    _box(row)
    raise RowError("a box belongs to no picture")


def _labels(text: str) -> dict[str, bool | None]:
    """All fourteen findings: what was not mined from the report counts as absent."""
    named = set(text.split("|")) - {_NO_FINDING, ""}
    if not text or not named <= FINDINGS.keys():
        raise RowError("Finding Labels holds an unknown name")
    return {label: name in named for name, label in FINDINGS.items()}


def _spacing_mm(row: Row) -> tuple[float, float] | None:
    """(row, column) spacing after the squeeze, which makes pixels oblong unless the original was square."""
    columns = ("OriginalImage[Width", "Height]", "OriginalImagePixelSpacing[x", "y]")
    numbers = [row.number(column) for column in columns]
    if any(number is None or number <= 0 for number in numbers):
        return None
    width, height, x, y = (number or 0.0 for number in numbers)
    return y * height / SIDE, x * width / SIDE


def split_of(published: str | None, patient: str) -> Split:
    """Part what the lists put together, by patient.

    Raises:
        RowError: the picture is in neither list.
    """
    if published is None:
        raise RowError("a picture is in neither published list")
    if published == "test":
        return "test"
    return "validate" if in_tenth(str(int(patient)), "nih-chest-xray") else "train"


def _record(download: _Download, row: Row) -> Record:
    name, patient = row["Image Index"], row["Patient ID"]
    if not patient.isdecimal():
        raise RowError("Patient ID is no number")
    path = require(download.source, download.images.get(name, f"images/{name}"))
    view = row["View Position"]
    return Record(
        dataset="nih-chest-xray",
        record_id=Path(name).stem,
        subject=patient,
        study=f"{patient}/{row['Follow-up #']}",
        split=split_of(download.splits.get(name), patient),
        modality=Modality.CXR,
        images=(RecordImage(path, view or None, (SIDE, SIDE), _spacing_mm(row)),),
        age=row.years("Patient Age"),
        sex={"M": "M", "F": "F"}.get(row["Patient Gender"] or row["Patient Sex"]),
        labels=_labels(row["Finding Labels"]),
        boxes=tuple(download.boxes.get(name, ())),
    )


def check(source: Path) -> list[Missing]:
    """Name every table and list that is missing, and every picture that the table of entries names."""
    entries = first_existing(source, _ENTRIES)
    found = [one for path in (entries, _BOXES, _TRAIN, _TEST) for one in missing(source, path, _ADDRESS)]
    if (source / entries).exists():
        images = picture_paths(source)
        for row in Table(source / entries, ("Image Index",)):
            name = row["Image Index"]
            found += missing(source, images.get(name, f"images/{name}"), _ADDRESS)
    return found


def cases(source: Path) -> Sequence[Case]:
    """List one record for each picture.

    Raises:
        DatasetError: the table of entries is missing or not in its layout.
    """
    entries = Table(
        source / first_existing(source, _ENTRIES), ("Image Index", "Finding Labels", "Patient ID")
    )
    boxes, bad = _boxes(source)
    download = _Download(source, picture_paths(source), published_lists(source), boxes)
    return [*(Case(row["Image Index"], partial(_record, download, row)) for row in entries), *bad]


_CARD = DatasetCard(
    name="NIH ChestX-ray14",
    version="Data_Entry_2017_v2020 (or 2017), BBox_List_2017",
    licence="no restriction; link to the source, cite the paper, name the NIH Clinical Center as provider",
    licence_address=_ADDRESS,
    address=_ADDRESS,
    citation="Wang et al.: ChestX-ray8: Hospital-scale chest X-ray database and benchmarks. CVPR 2017, 3462. "
    "Data provider: NIH Clinical Center.",
    split_rule="test: test_list.txt; validate: one patient in ten of train_val_list.txt, drawn by number; "
    "train: the others",
    layout="Data_Entry_2017_v2020.csv, BBox_List_2017.csv, train_val_list.txt, test_list.txt, and "
    "images_001/ to images_012/ with images/*.png (or one images/)",
    preprocessing=(
        "A finding that was not mined from the report counts as absent.",
        "Boxes are of 1024 x 1024 pixels; Infiltrate is Infiltration. The paper measures atelectasis, "
        "cardiomegaly, effusion and pneumothorax: 577 of the 984 boxes.",
        "Pixel spacing is that of the original times its squeeze.",
        "Ages above 110 years, which are slips of the keyboard, are left out.",
    ),
)

NIH_CHEST_XRAY_READER = DatasetReader(_CARD, check, cases)

"""AbdomenCT-1K (Ma 2022): abdominal CT with masks of liver, kidneys, spleen and pancreas."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from model.errors import DatasetError
from model.reading import Modality
from model.training.datasets.dataset_reader import Case, DatasetCard, DatasetReader, Missing
from model.training.datasets.published_files import first_existing, missing, require
from model.training.datasets.record import Record, RecordImage, RecordMask
from model.training.datasets.splits import in_tenth

LABELS: Mapping[int, str] = {1: "liver", 2: "kidney", 3: "spleen", 4: "pancreas"}
"""Values of a label map; 2 marks both kidneys."""

_LABELLED = 1000
"""Scans with a published label map; the other 62 are the hidden test set."""

_PARTS: Mapping[str, str] = {
    "AbdomenCT-1K-ImagePart1": "https://zenodo.org/records/5903099",
    "AbdomenCT-1K-ImagePart2": "https://zenodo.org/records/5903846",
    "AbdomenCT-1K-ImagePart3": "https://zenodo.org/records/5903769",
}
_MASKS_ADDRESS = "https://zenodo.org/records/5903769"
_CASE = re.compile(r"(Case_\d{5})\.nii\.gz")


def _masks(source: Path) -> dict[str, str]:
    """Path of each label map by the name of its case."""
    found = {}
    for path in sorted((source / "Mask").rglob("Case_*.nii.gz")):
        if match := _CASE.fullmatch(path.name):
            found[match[1]] = path.relative_to(source).as_posix()
    return found


def _image(source: Path, case: str) -> str:
    """Find a scan in its part: 1 to 400, 401 to 800, and the others."""
    part = list(_PARTS)[min((int(case[5:]) - 1) // 400, 2)]
    folders = (part, *[folder for other in _PARTS for folder in (other, f"{other}/{other}")])
    return first_existing(source, [f"{folder}/{case}_0000.nii.gz" for folder in folders])


def _record(source: Path, case: str, mask: str) -> Record:
    return Record(
        dataset="abdomenct-1k",
        record_id=case,
        subject=case,
        study=case,
        split="test" if in_tenth(case, "abdomenct-1k") else "train",
        modality=Modality.CT,
        images=(RecordImage(require(source, _image(source, case))),),
        masks=tuple(
            RecordMask(label, 0, require(source, mask), value=value) for value, label in LABELS.items()
        ),
    )


def check(source: Path) -> list[Missing]:
    """Name every scan and label map that is missing or cut short; all are read, to the end of their gzip."""
    masks = _masks(source)
    found: list[Missing] = []
    if len(masks) < _LABELLED:
        problem = f"missing: {_LABELLED - len(masks)} of {_LABELLED} files"
        found.append(Missing("Mask/Case_*.nii.gz", problem, _MASKS_ADDRESS))
    for case, mask in masks.items():
        image = _image(source, case)
        found += missing(source, mask, _MASKS_ADDRESS)
        found += missing(source, image, _PARTS[image.split("/")[0]])
    return found


def cases(source: Path) -> Sequence[Case]:
    """List one record for each scan with a label map.

    Raises:
        DatasetError: there is no label map.
    """
    masks = _masks(source)
    if not masks:
        raise DatasetError("Mask holds no Case_*.nii.gz")
    return [Case(case, partial(_record, source, case, mask)) for case, mask in masks.items()]


ABDOMEN_CT_1K_READER = DatasetReader(
    DatasetCard(
        name="AbdomenCT-1K",
        version="Zenodo 5903099, 5903846 and 5903769 (2022)",
        licence="as each record on Zenodo says; the scans come from LiTS, KiTS19, the Medical Segmentation "
        "Decathlon and NIH Pancreas-CT, whose terms remain",
        licence_address="https://github.com/JunMa11/AbdomenCT-1K",
        address="https://github.com/JunMa11/AbdomenCT-1K",
        citation="Ma et al.: AbdomenCT-1K: Is abdominal organ segmentation a solved problem? IEEE TPAMI 44, "
        "6695 (2022).",
        split_rule="none is published; test: one scan in ten, drawn by its number (the paper: 9:1 at random)",
        layout=f"{', '.join(f'{part}/' for part in _PARTS)} with Case_xxxxx_0000.nii.gz, and Mask/ with "
        "Case_xxxxx.nii.gz",
        preprocessing=(
            "Both kidneys are one label.",
            "Scans are clipped to -200 to 300 HU and taken to the grid of the network (192 x 192 x 64) "
            "when they are loaded.",
        ),
    ),
    check,
    cases,
)

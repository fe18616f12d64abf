"""A small prepared dataset with every kind of fact, and the files that its records name."""

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from model.reading import Modality
from model.training.datasets.dataset_reader import Case, DatasetCard
from model.training.datasets.record import (
    Record,
    RecordBox,
    RecordImage,
    RecordMask,
    RecordQuestion,
    RunLengths,
    Split,
)
from model.training.datasets.shards import write_prepared

CARD = DatasetCard("drawn", "3", "CC0", "https://licence", "https://here", "Nobody 2026", "by number", "none")
COLUMNS, ROWS = 40, 60


def chest(n: int, split: Split) -> Record:
    """A study of two images and a prior of one."""
    runs = RunLengths((COLUMNS, ROWS), (COLUMNS * ROWS // 2, COLUMNS * ROWS // 2))
    return Record(
        "drawn",
        str(n),
        f"s{n}",
        f"t{n}",
        split,
        Modality.CXR,
        (RecordImage(f"{n}a.png", "PA"), RecordImage(f"{n}b.png", "LATERAL")),
        (RecordImage(f"{n}p.png", "PA"),),
        age=47,
        sex="F",
        indication="Cough.",
        findings="The heart is large. <DET> ###",
        impression="Large heart.",
        labels={"enlarged cardiac silhouette": True, "pneumothorax": False, "consolidation": False},
        boxes=(
            RecordBox("heart", 0, (0.3, 0.4, 0.8, 0.9), anatomy=True),
            RecordBox("enlarged cardiac silhouette", 0, (0.3, 0.4, 0.8, 0.9), "The heart is large."),
        ),
        masks=(RecordMask("heart", 0, rle=runs),),
        questions=(
            RecordQuestion("Is the heart large?", "Yes.", (0,), "presence"),
            RecordQuestion("What has changed?", "The heart has grown.", (0, 2), "difference"),
        ),
        change="The heart has grown.",
    )


def lesion(n: int, split: Split) -> Record:
    mask = RecordMask("lesion", 0, path=f"{n}m.png")
    image = RecordImage(f"{n}.jpg")
    return Record(
        "drawn", str(n), f"s{n}", "", split, Modality.DERM, (image,), masks=(mask,), diagnosis="melanoma"
    )


def abdomen(n: int, split: Split) -> Record:
    masks = (
        RecordMask("liver", 0, f"{n}l.nii.gz", value=1),
        RecordMask("spleen", 0, f"{n}l.nii.gz", value=2),
    )
    return Record(
        "drawn", str(n), f"s{n}", "", split, Modality.CT, (RecordImage(f"{n}.nii.gz"),), masks=masks
    )


RECORDS: Sequence[Record] = (
    chest(0, "train"),
    chest(1, "train"),
    lesion(2, "train"),
    abdomen(3, "train"),
    chest(4, "validate"),
    chest(5, "test"),
)


def write_studies(root: Path, records: Sequence[Record] = RECORDS) -> Path:
    """Write `source`, with every picture, and `prepared`; return the latter."""
    source = root / "source"
    source.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for record in records:
        names = [image.path for image in record.shown]
        for name in names + [m.path for m in record.masks if m.path]:
            _write(source / name, draw)
    cases = [Case(record.record_id, lambda record=record: record) for record in records]
    write_prepared(CARD, cases, root / "prepared", source=source, shard_cases=2)
    return root / "prepared"


def _write(path: Path, draw: np.random.Generator) -> None:
    if path.name.endswith("m.png"):
        Image.fromarray((np.indices((ROWS, COLUMNS))[0] < ROWS // 3).astype(np.uint8) * 255).save(path)
    elif path.name.endswith("l.nii.gz"):
        labels = np.zeros((12, 10, 8), np.uint8)
        labels[:6], labels[6:] = 1, 2
        nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), path)
    elif path.name.endswith(".nii.gz"):
        nibabel.save(nibabel.Nifti1Image(draw.normal(0, 90, (12, 10, 8)).astype(np.int16), np.eye(4)), path)
    else:
        shape = (ROWS, COLUMNS, 3) if path.suffix == ".jpg" else (ROWS, COLUMNS)
        Image.fromarray(draw.integers(0, 255, shape).astype(np.uint8)).save(path)

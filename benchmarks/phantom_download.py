"""Draws phantoms into a prepared dataset whose files are as large as published ones."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.reading import CHEST_FINDINGS, Modality
from model.training.datasets.dataset_reader import Case, DatasetCard
from model.training.datasets.prepared import PreparedDataset
from model.training.datasets.record import Record, RecordBox, RecordImage, RecordMask, RecordQuestion
from model.training.datasets.run_lengths import runs_of_mask
from model.training.datasets.shards import write_prepared
from model.training.phantoms.abdomen import make_abdomen_case
from model.training.phantoms.chest import make_chest_case
from model.training.phantoms.dermoscopy import make_skin_case
from model.training.phantoms.truth import ChestView
from model.training.telling import (
    changes_text,
    findings_text,
    impression_text,
    visible_changes,
    visible_findings,
)

RADIOGRAPH = (3056, 2544)
"""Rows and columns of many pictures of MIMIC-CXR-JPG; those of NIH have a seventh of these pixels."""
PHOTOGRAPH = (450, 600)
"""Of HAM10000."""
SCAN = (100, 512, 512)
"""Slices, rows and columns: as in the thinner half of AbdomenCT-1K."""
ENLARGED = 4
"""Along each axis, since drawing a scan of that size takes minutes."""

_CARD = DatasetCard("phantoms in files", "1", "none needed", "", "", "none", "all is train", "drawn here")


def draw_download(folder: Path, cases: int) -> PreparedDataset:
    """Draw as many chests with a prior, photographs and scans."""
    makers = (_chest, _skin, _abdomen)
    listed = [
        Case(f"{make.__name__}{seed}", partial(make, folder, seed))
        for make in makers
        for seed in range(cases)
    ]
    write_prepared(_CARD, listed, folder / "prepared", source=folder)
    return PreparedDataset(folder / "prepared")


def _chest(folder: Path, seed: int) -> Record:
    case = make_chest_case(seed)
    prior = case.prior or make_chest_case(seed + 1000).current
    view, findings = case.current, visible_findings(case.current)
    shown = {f.label: (f.label, f.box) for f in findings}
    boxes = [RecordBox(label, 0, box, caption=f"There is {label}.") for label, box in shown.values()]
    boxes += [RecordBox(name, 0, box, anatomy=True) for name, box in view.boxes.items()]
    return Record(
        "phantoms",
        f"chest{seed}",
        str(seed),
        str(seed),
        "train",
        Modality.CXR,
        (RecordImage(_radiograph(folder, f"chest{seed}.jpg", view), "PA"),),
        (RecordImage(_radiograph(folder, f"prior{seed}.jpg", prior), "PA"),),
        findings=findings_text(findings),
        impression=impression_text(findings),
        labels={label: label in shown for label in CHEST_FINDINGS},
        boxes=tuple(boxes),
        masks=tuple(
            RecordMask(label, 0, rle=runs_of_mask(_enlarged(mask, RADIOGRAPH)))
            for label, mask in view.masks.items()
            if mask.any()
        ),
        questions=(RecordQuestion("Is the heart enlarged?", "No."),),
        change=changes_text(visible_changes(case)) or None,
    )


def _skin(folder: Path, seed: int) -> Record:
    case = make_skin_case(seed)
    name = f"skin{seed}"
    pixels = np.round(case.pixels * 255).astype(np.uint8)
    Image.fromarray(pixels).resize(PHOTOGRAPH[::-1]).save(folder / f"{name}.jpg", quality=95)
    Image.fromarray(_enlarged(case.mask, PHOTOGRAPH)).convert("L").save(folder / f"{name}.png")
    record = Record("phantoms", name, name, name, "train", Modality.DERM, (RecordImage(f"{name}.jpg"),))
    return replace(record, masks=(RecordMask("lesion", 0, f"{name}.png"),), diagnosis=case.diagnosis)


def _abdomen(folder: Path, seed: int) -> Record:
    case = make_abdomen_case(seed, shape=tuple(n // ENLARGED for n in SCAN))
    name, labels = f"abdomen{seed}", np.zeros(case.voxels.shape, np.uint8)
    for n, mask in enumerate(case.masks.values(), 1):
        labels[mask] = n
    noise = np.random.default_rng(seed).normal(0, 12, SCAN).astype(np.int16)
    large = np.ones((ENLARGED,) * 3, np.int16)
    scan = np.kron(np.round(case.voxels).astype(np.int16), large) + noise
    affine = (np.diag([-1.0, -1.0, 1.0, 1.0]) @ case.affine)[:, [2, 1, 0, 3]]
    affine[:3, :3] /= ENLARGED
    for suffix, voxels in (("", scan), ("-labels", np.kron(labels, large.astype(np.uint8)))):
        image = nibabel.Nifti1Image(np.ascontiguousarray(voxels.transpose(2, 1, 0)), affine)
        image.to_filename(folder / f"{name}{suffix}.nii.gz")
    masks = [RecordMask(label, 0, f"{name}-labels.nii.gz", value=n) for n, label in enumerate(case.masks, 1)]
    image = RecordImage(f"{name}.nii.gz")
    return Record("phantoms", name, name, name, "train", Modality.CT, (image,), masks=tuple(masks))


def _radiograph(folder: Path, name: str, view: ChestView) -> str:
    pixels = Image.fromarray(np.round(view.pixels * 255).astype(np.uint8))
    pixels.resize(RADIOGRAPH[::-1], Image.Resampling.BICUBIC).save(folder / name, quality=95)
    return name


def _enlarged(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray(Image.fromarray(mask).resize(shape[::-1], Image.Resampling.NEAREST), np.bool_)

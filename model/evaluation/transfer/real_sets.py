"""Reads the real pictures that transfer is measured on, where they lie in one folder.

cxr_masks/*/NAME.json + image + NAME__mask_CLASS.png   radiographs with radiologists' masks
cxr/*_dcm/*.dcm                                        one patient's radiographs of several dates
ct/SERIES/*.dcm + ct/SERIES_seg.nii.gz                 a CT with the label map of TotalSegmentator
derm_nc/*.jpg                                          dermoscopy, without masks
ood/*.dcm                                              what must be declined
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from model.errors import DatasetError
from model.imaging.pixels import planar_image_from_dataset
from model.volume import FrameKey, PlanarImage

Mask = NDArray[np.bool_]

PARTS: Mapping[str, str] = {
    "masked radiographs": "cxr_masks/*/*.json",
    "radiographs of several dates": "cxr/*_dcm/*.dcm",
    "organs on CT": "ct/*_seg.nii.gz",
    "dermoscopy": "derm_nc/*.jpg",
    "out of domain": "ood/*.dcm",
}
"""What there may be, and the files by which it is found."""

_CLASSES = {"left_lung": "left lung", "right_lung": "right lung", "cardiomediastinum": "heart"}
"""What the annotators called what the weights call otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class RealPicture:
    """One real radiograph or photograph."""

    name: str
    patient: str
    """Whose it is, as far as the folder tells: what is drawn together by the bootstrap."""
    image: PlanarImage
    day: int = 0
    """Since the first one of the patient."""
    masks: Mapping[str, Mask] | None = None
    """(J, I) each."""
    header: Dataset | None = None


def files_of(folder: Path, part: str) -> list[Path]:
    """The files by which a part is found, in order of their names."""
    return sorted(folder.glob(PARTS[part]))


def masked_radiographs(folder: Path) -> list[RealPicture]:
    """Radiographs with masks of the lungs, of heart and mediastinum in one, and of consolidation.

    The annotators' lungs reach behind the heart.

    Raises:
        DatasetError: an image or mask that a description names is missing or of another size.
    """
    return [_masked(path) for path in files_of(folder, "masked radiographs")]


def _masked(description: Path) -> RealPicture:
    told = json.loads(description.read_text(encoding="utf-8"))
    image = _picture(description.with_name(told["image"]))
    masks: dict[str, Mask] = {}
    for annotation in told["annotations"]:
        path = description.with_name(annotation["mask"])
        if not path.is_file():
            raise DatasetError(f"missing: {path.name}")
        mask = np.asarray(Image.open(path)) > 0
        if mask.shape != image.pixels.shape[:2]:
            raise DatasetError(f"{path.name} is of another size than its image")
        name = str(annotation["class"])
        masks[_CLASSES.get(name, name)] = mask
    day = int(told.get("offset_days") or 0)
    return RealPicture(description.stem, description.parent.name, image, day, masks)


def dated_radiographs(folder: Path) -> list[RealPicture]:
    """Frontal radiographs of one patient at several dates, in their order."""
    found: list[RealPicture] = []
    for path in files_of(folder, "radiographs of several dates"):
        ds = dcmread(path)
        image = planar_image_from_dataset(ds)
        found.append(RealPicture(path.stem, path.parent.name, image, header=ds))
    return found


def skin_photographs(folder: Path) -> list[RealPicture]:
    """Dermoscopic photographs."""
    paths = files_of(folder, "dermoscopy")
    return [RealPicture(path.stem, path.stem, _picture(path, "RGB")) for path in paths]


def foreign_pictures(folder: Path) -> list[RealPicture]:
    """What is no chest radiograph of a person."""
    found: list[RealPicture] = []
    for path in files_of(folder, "out of domain"):
        ds = dcmread(path)
        found.append(RealPicture(path.stem, path.stem, planar_image_from_dataset(ds), header=ds))
    return found


def _picture(path: Path, mode: str = "L") -> PlanarImage:
    """Open a DICOM file, or an 8-bit picture as it is in the `mode` of Pillow."""
    if not path.is_file():
        raise DatasetError(f"missing: {path.name}")
    if path.suffix == ".dcm":
        return planar_image_from_dataset(dcmread(path))
    with Image.open(path) as opened:
        pixels = np.asarray(opened.convert(mode), np.float32) / np.float32(255)
    return PlanarImage(pixels, FrameKey(path.stem))

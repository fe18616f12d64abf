"""Masks of organs and lesions on real pictures, and whether the right pictures are taken and declined."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model.evaluation.segmentation import dice, surface_distance
from model.evaluation.transfer.example import Example, Mask, masks_of
from model.evaluation.transfer.label_maps import labelled_scan
from model.evaluation.transfer.real_sets import (
    RealPicture,
    dated_radiographs,
    files_of,
    foreign_pictures,
    masked_radiographs,
    skin_photographs,
)
from model.families.family import Family
from model.imaging.selection import select_images
from model.reader import Reader
from model.reading import Modality, ReadingRequest, Task
from model.volume import PlanarImage

LUNGS = ("right lung", "left lung")


def chest_organs(family: Family, folder: Path) -> Iterator[Example]:
    """Dice of lungs and heart; of lungs also without what lies behind the heart, which phantoms leave out."""
    for picture in masked_radiographs(folder):
        true = picture.masks or {}
        found = {name: mask[0] for name, mask in masks_of(family, Modality.CXR, picture.image).items()}
        for name in (*LUNGS, "heart"):
            if name in found and name in true:
                yield _example("lungs and heart", f"Dice, {name}", picture, dice(found[name], true[name]))
        if "heart" not in true:
            continue
        for name in LUNGS:
            if name in found and name in true:
                beside = dice(found[name] & ~true["heart"], true[name] & ~true["heart"])
                yield _example("lungs and heart", f"Dice, {name} beside the heart", picture, beside)


def ct_organs(family: Family, folder: Path) -> Iterator[Example]:
    """Dice and surface distance of the organs of every labelled CT."""
    for path in files_of(folder, "organs on CT"):
        name = path.name.removesuffix("_seg.nii.gz")
        scan = labelled_scan(path.parent, name)
        found = masks_of(family, Modality.CT, scan.volume)
        for organ, true in scan.masks.items():
            if organ not in found:
                continue
            distance = surface_distance(found[organ], true, scan.volume.geometry.spacing_mm)
            values = {"Dice": dice(found[organ], true), "95 % Hausdorff distance (mm)": distance.hausdorff_95}
            for figure, value in values.items():
                if not np.isnan(value):
                    yield Example("organs on CT", f"{figure}, {organ}", name, name, value)


def skin_lesions(family: Family, folder: Path) -> Iterator[Example]:
    """Agreement of lesion masks with what is dark, and with themselves on the mirrored picture.

    There are no reference masks; neither figure is accuracy.
    """
    for picture in skin_photographs(folder):
        found = masks_of(family, Modality.DERM, picture.image)["lesion"][0]
        mirrored = PlanarImage(np.ascontiguousarray(picture.image.pixels[:, ::-1]), picture.image.frame)
        again = masks_of(family, Modality.DERM, mirrored)["lesion"][0][:, ::-1]
        dark = dice(found, dark_lesion(picture.image.pixels))
        yield _example("skin lesions", "Dice with a threshold on darkness (no reference)", picture, dark)
        yield _example(
            "skin lesions", "Dice with itself on the mirrored picture", picture, dice(found, again)
        )
        yield _example("skin lesions", "a lesion was found", picture, float(found.any()))


def dark_lesion(pixels: NDArray[np.float32]) -> Mask:
    """Return what is darker than Otsu's threshold and lies nearest the middle, holes filled; (J, I)."""
    rows, columns = pixels.shape[:2]
    grey = np.asarray(ndimage.gaussian_filter(pixels.mean(axis=-1), 0.01 * rows), np.float64)
    far = np.hypot(np.linspace(-1, 1, rows)[:, None], np.linspace(-1, 1, columns)[None, :])
    inside = far < 0.95
    parts = np.zeros(grey.shape, np.int32)
    ndimage.label((grey < otsu(grey[inside])) & inside, output=parts)
    if not parts.any():
        return np.zeros(grey.shape, np.bool_)
    weights = np.bincount(parts.ravel(), np.exp(-3 * far**2).ravel())
    nearest = int(weights[1:].argmax()) + 1
    return np.asarray(ndimage.binary_fill_holes(parts == nearest), np.bool_)


def otsu(values: NDArray[np.floating]) -> float:
    """The threshold between two classes whose means differ most (Otsu 1979); the middle of several."""
    counts, edges = np.histogram(values, 128)
    middles = (edges[1:] + edges[:-1]) / 2
    below, sums = np.cumsum(counts)[:-1], np.cumsum(counts * middles)[:-1]
    above, rest = counts.sum() - below, (counts * middles).sum() - sums
    means = sums / np.maximum(below, 1) - rest / np.maximum(above, 1)
    apart = means**2 * below * above
    return float(edges[1:-1][apart == apart.max()].mean())


def taken_and_declined(family: Family, folder: Path) -> Iterator[Example]:
    """Whether chests are taken and others declined: by header as the node does, and by pixels alone."""
    reader = Reader(family)
    chests = [*masked_radiographs(folder), *dated_radiographs(folder)]
    for picture in chests:
        yield _example("gates", "chest taken by its pixels", picture, float(not _declined(reader, picture)))
    for picture in foreign_pictures(folder):
        yield _example("gates", "foreign declined by its pixels", picture, float(_declined(reader, picture)))
        if picture.header is not None:
            routed = select_images([picture.header]).modality is None
            yield _example("gates", "foreign declined by its header", picture, float(routed))


def _declined(reader: Reader, picture: RealPicture) -> bool:
    request = ReadingRequest(Modality.CXR, (picture.image,), (Task.SEGMENTATION,))
    return reader.read(request).abstention is not None


def _example(part: str, figure: str, picture: RealPicture, value: float) -> Example:
    return Example(part, figure, picture.name, picture.patient, value)

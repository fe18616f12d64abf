"""What a phantom knows about itself: pixels with their exact masks, boxes, findings and changes.

Image left is the patient's right, as on a PA radiograph that is hung for reading.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.reading import ChangeStatus, Laterality

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 as fractions of image width and height, 0 to 1."""


@dataclass(frozen=True, slots=True)
class FindingTruth:
    """One finding on one image."""

    label: str
    """One of `model.reading.CHEST_FINDINGS`."""
    laterality: Laterality | None
    zone: str | None
    """`upper`, `mid` or `lower` third of the lung; None where it has no zone."""
    extent: float
    """0 to 1: how large, relative to the largest that is generated; the size words are its thirds."""
    box: Box
    visibility: float
    """How clearly the finding stands out of this image; below 1 a reader cannot be expected to see it."""


@dataclass(frozen=True, slots=True)
class ChangeTruth:
    """One finding at two time points."""

    label: str
    laterality: Laterality | None
    zone: str | None
    status: ChangeStatus


@dataclass(frozen=True, slots=True, eq=False)
class ChestView:
    """One frontal radiograph."""

    pixels: NDArray[np.float32]
    """(J, I), 0 to 1, bright is dense."""
    masks: Mapping[str, NDArray[np.bool_]]
    """(J, I) for each of `model.reading.CHEST_ORGANS`."""
    boxes: Mapping[str, Box]
    """For each of `model.reading.CHEST_STRUCTURES` that lies in the field of view."""
    findings: tuple[FindingTruth, ...]
    spacing_mm: tuple[float, float]
    view: str
    """`PA` or `AP`."""


@dataclass(frozen=True, slots=True, eq=False)
class ChestCase:
    """One patient with a current and, mostly, a prior radiograph."""

    seed: int
    current: ChestView
    prior: ChestView | None
    days_between: int
    changes: tuple[ChangeTruth, ...]
    """Every finding of either time point; empty without a prior and where neither shows one."""


@dataclass(frozen=True, slots=True, eq=False)
class AbdomenCase:
    """One axial CT of the upper abdomen, or a slab of it."""

    seed: int
    voxels: NDArray[np.float32]
    """(K, J, I) Hounsfield units; k grows towards the head, j to the back, i to the patient's left."""
    affine: NDArray[np.float64]
    """(4, 4): (k, j, i, 1) to LPS millimetres."""
    masks: Mapping[str, NDArray[np.bool_]]
    """(K, J, I) for each of `model.reading.ABDOMINAL_ORGANS` that lies in the field of view."""


@dataclass(frozen=True, slots=True, eq=False)
class SkinCase:
    """One dermoscopic photograph."""

    seed: int
    pixels: NDArray[np.float32]
    """(J, I, 3) RGB, 0 to 1."""
    mask: NDArray[np.bool_]
    """(J, I): the lesion."""
    diagnosis: str
    """One of `model.reading.SKIN_LESIONS`."""


@dataclass(frozen=True, slots=True, eq=False)
class ForeignCase:
    """A picture that a chest model must decline: another body part, view, thing or nothing at all."""

    seed: int
    pixels: NDArray[np.float32]
    """(J, I), 0 to 1."""
    kind: str
    """E.g. `lateral`, `limb`, `abdomen`, `skin`, `blank`, `noise`, `letters`."""

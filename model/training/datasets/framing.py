"""Varies a picture together with its masks and boxes, where the paper varies it and no side is spoken of."""

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.reading import Modality, Task
from model.training.phantoms.truth import Box
from model.volume import PlanarImage

CROPPED_TASKS = frozenset({Task.REPORT, Task.CLASSIFICATION, Task.VQA, Task.COMPARISON})
"""Tasks whose pictures the published training crops at random; where boxes or masks are asked it does not."""

AREA = (0.5, 1.0)
"""Of the picture, what a random crop keeps."""

ASPECT = (3 / 4, 4 / 3)
"""Width by height of a random crop in pixels."""

MIRRORED = 0.5
"""Of the pictures that may be mirrored."""

SEEN = 0.5
"""Of a box's area, the least that a crop may keep of it."""

_ATTEMPTS = 10
_SIDE = re.compile(r"\b(?:left|right)(?:-?sided|wards?)?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Framing:
    """A rectangle of whole pixels that is cut out of a picture, and then perhaps mirrored left to right."""

    top: int
    left: int
    rows: int
    columns: int
    shape: tuple[int, int]
    """(J, I) of the whole picture."""
    mirrored: bool = False

    def pixels(self, array: NDArray[Any]) -> NDArray[Any]:
        """Cut (J, I) or (J, I, 3) of a picture or mask."""
        cut = array[self.top : self.top + self.rows, self.left : self.left + self.columns]
        return cut[:, ::-1] if self.mirrored else cut

    def picture(self, image: PlanarImage) -> PlanarImage:
        """Cut a picture; it loses what ties it to its stored pixels."""
        return PlanarImage(self.pixels(image.pixels), image.frame, image.spacing_mm, view=image.view)

    def box(self, box: Box) -> Box | None:
        """Move fractions of the whole to fractions of the cut; None if less than half of the box is seen."""
        x1, y1, x2, y2 = box
        across = self._along(x1, x2, (self.left, self.columns, self.shape[1]))
        down = self._along(y1, y2, (self.top, self.rows, self.shape[0]))
        if self.mirrored:
            across = 1 - across[1], 1 - across[0]
        moved = (across[0], down[0], across[1], down[1])
        inside = (max(moved[0], 0.0), max(moved[1], 0.0), min(moved[2], 1.0), min(moved[3], 1.0))
        seen = max(inside[2] - inside[0], 0.0) * max(inside[3] - inside[1], 0.0)
        whole = (moved[2] - moved[0]) * (moved[3] - moved[1])
        return inside if seen > 0 and seen >= SEEN * whole else None

    @staticmethod
    def _along(low: float, high: float, cut: tuple[int, int, int]) -> tuple[float, float]:
        start, length, whole = cut
        return (low * whole - start) / length, (high * whole - start) / length


def whole(shape: tuple[int, int]) -> Framing:
    """Show all of a picture of `shape` (J, I)."""
    return Framing(0, 0, shape[0], shape[1], shape)


def may_mirror(modality: Modality, task: Task, *texts: str) -> bool:
    """Whether mirroring leaves the truth true: masks of planar pictures, where no text names a side."""
    planar_masks = task is Task.SEGMENTATION and modality is not Modality.CT
    return planar_masks and not any(_SIDE.search(text) for text in texts)


def draw_framing(
    shape: tuple[int, int], rng: np.random.Generator, *, cropped: bool = False, mirrored: bool = False
) -> Framing:
    """Draw a crop where `cropped` and a mirroring where `mirrored` says that there may be one."""
    framing = _random_crop(shape, rng) if cropped else whole(shape)
    turned = mirrored and bool(rng.random() < MIRRORED)
    return Framing(framing.top, framing.left, framing.rows, framing.columns, shape, turned)


def mask_to_grid(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Squeeze a mask (J, I) to (size, size) by nearest pixels, as its picture is squeezed."""
    squeezed = Image.fromarray(mask.astype(np.uint8)).resize((size, size), Image.Resampling.NEAREST)
    return np.asarray(squeezed, np.bool_)


def _random_crop(shape: tuple[int, int], rng: np.random.Generator) -> Framing:
    """Draw area and aspect as torchvision's RandomResizedCrop does: what does not fit is drawn again.

    After ten attempts the largest middle part of an allowed aspect is taken.
    """
    rows, columns = shape
    for _ in range(_ATTEMPTS):
        area = rows * columns * rng.uniform(*AREA)
        aspect = math.exp(rng.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < width <= columns and 0 < height <= rows:
            top, left = int(rng.integers(rows - height + 1)), int(rng.integers(columns - width + 1))
            return Framing(top, left, height, width, shape)
    width = min(columns, round(rows * ASPECT[1]))
    height = min(rows, round(columns / ASPECT[0]))
    return Framing((rows - height) // 2, (columns - width) // 2, height, width, shape)

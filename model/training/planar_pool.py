"""All planar pictures of a training run, what is to be learned from each, and their random variants."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from model.reading import CHEST_ORGANS, CHEST_STRUCTURES, SKIN_LESIONS, Laterality
from model.training.phantoms.truth import ChestView, FindingTruth, ForeignCase, SkinCase
from model.transforms import CLIP_MEAN, CLIP_STD

SIDE = 224
"""Pixels of a kept picture."""
MASK_SIDE = 128
"""Pixels of a kept mask."""
SIDES = (Laterality.RIGHT, Laterality.LEFT)
ZONES = ("upper", "mid", "lower")
SLOTS = (
    *(("lung nodule", side, zone) for side in SIDES for zone in ZONES),
    *(("consolidation", side, zone) for side in SIDES for zone in ZONES),
    *(("pleural effusion", side, None) for side in SIDES),
    *(("pneumothorax", side, None) for side in SIDES),
    ("enlarged cardiac silhouette", None, None),
)
"""Places where a finding can be, each of which the encoder learns to tell."""
MASKS = (*CHEST_ORGANS, "lesion")
KINDS = ("chest", "skin", "foreign")
UNSEEN = 1.0
"""Least visibility of a finding that is taught."""


@dataclass(frozen=True, slots=True, eq=False)
class PlanarTruth:
    """What one picture, or a batch of pictures, teaches; N leads in a batch."""

    kind: Tensor
    """() int: index into `KINDS`."""
    present: Tensor
    """(slots,) 0 or 1."""
    extent: Tensor
    """(slots,) 0 to 1."""
    slot_boxes: Tensor
    """(slots, 4) x1, y1, x2, y2 fractions."""
    structure_boxes: Tensor
    """(structures, 4); NaN where out of the field of view."""
    skin: Tensor
    """() int: index into `SKIN_LESIONS`, -1 for other kinds."""
    masks: Tensor
    """(masks, MASK_SIDE, MASK_SIDE) uint8 of `MASKS`."""

    def picked(self, rows: Tensor) -> "PlanarTruth":
        """Pick rows, by number or by flag, of a batch."""
        return PlanarTruth(*(getattr(self, name)[rows] for name in PlanarTruth.__dataclass_fields__))

    def to(self, device: torch.device) -> "PlanarTruth":
        return PlanarTruth(*(getattr(self, name).to(device) for name in PlanarTruth.__dataclass_fields__))


Lesions = Callable[[PlanarTruth, torch.Generator], Tensor]
"""Writes new findings into a batch of truths; returns (n, 1, SIDE, SIDE), what they add to the pictures."""


@dataclass(frozen=True, slots=True, eq=False)
class PlanarPool:
    """Pictures and their truths, stacked."""

    pictures: list[Tensor]
    """N times (1, SIDE, SIDE) uint8, or (3, SIDE, SIDE) where they have colours."""
    truth: PlanarTruth

    def shown(self, rows: Tensor) -> Tensor:
        """(n, 3, SIDE, SIDE) fractions as served."""
        pictures = [self.pictures[row].expand(3, -1, -1) for row in rows.tolist()]
        return torch.stack(pictures).float() / 255

    def variants(
        self, rows: Tensor, rng: torch.Generator, mask_side: int = MASK_SIDE, lesions: Lesions | None = None
    ) -> tuple[Tensor, PlanarTruth]:
        """Draw a random variant of each of the rows: (n, 3, SIDE, SIDE) fractions, not yet normalised.

        `lesions` are set into pictures and truth first.
        """
        window = random_windows(len(rows), rng)
        truth = self.truth.picked(rows)
        added = lesions(truth, rng) if lesions else None
        return self.windowed(rows, window, rng, added), moved_truth(truth, window, mask_side)

    def windowed(
        self, rows: Tensor, window: Tensor, rng: torch.Generator, added: Tensor | None = None
    ) -> Tensor:
        """Cut (n, 4) windows out of pictures and vary their exposure; grey ones in one channel, for speed.

        `added` (n, 1, SIDE, SIDE) is laid over the pictures first.
        """
        coloured = self.truth.kind[rows] == KINDS.index("skin")
        pictures = torch.empty(len(rows), 3, SIDE, SIDE)
        for chosen in (~coloured, coloured):
            if not chosen.any():
                continue
            whole = torch.stack([self.pictures[row] for row in rows[chosen].tolist()]).float() / 255
            if added is not None:
                whole = (whole + added[chosen]).clamp(0, 1)
            cut = _sample(whole, window[chosen], SIDE)
            pictures[chosen] = random_exposures(cut, rng).expand(-1, 3, -1, -1)
        return pictures


def moved_truth(truth: PlanarTruth, window: Tensor, mask_side: int) -> PlanarTruth:
    """Move a batch of truths into (n, 4) windows."""
    masks = _sample(truth.masks.float(), window, mask_side) > 0.5
    return PlanarTruth(
        truth.kind,
        truth.present,
        truth.extent,
        windowed_boxes(truth.slot_boxes, window),
        windowed_boxes(truth.structure_boxes, window),
        truth.skin,
        masks.to(torch.uint8),
    )


def normalised(pictures: Tensor) -> Tensor:
    """Bring (n, 3, S, S) fractions to the values that encoders expect."""
    mean, std = (torch.tensor(v, device=pictures.device)[:, None, None] for v in (CLIP_MEAN, CLIP_STD))
    return (pictures - mean) / std


def pool_of(pictures: Iterable[ChestView | SkinCase | ForeignCase]) -> PlanarPool:
    """Gather pictures and truths."""
    squares: list[Tensor] = []
    truths: list[PlanarTruth] = []
    for picture in pictures:
        whole = square(picture.pixels)
        squares.append(whole if isinstance(picture, SkinCase) else whole[:1].clone())
        truths.append(_truth_of(picture))
    stacked = (torch.stack([getattr(t, name) for t in truths]) for name in PlanarTruth.__dataclass_fields__)
    return PlanarPool(squares, PlanarTruth(*stacked))


def square(pixels: NDArray[np.float32]) -> Tensor:
    """Squeeze (J, I) or (J, I, 3) fractions to (3, SIDE, SIDE) uint8."""
    eight_bit = Image.fromarray(np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    resized = eight_bit.resize((SIDE, SIDE), Image.Resampling.BILINEAR).convert("RGB")
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1)


def slots_of(finding: FindingTruth) -> list[int]:
    """Places that a finding takes; a bilateral one takes both."""
    return [
        n
        for n, (label, side, zone) in enumerate(SLOTS)
        if label == finding.label
        and (side is None or finding.laterality in (side, Laterality.BILATERAL, None))
        and (zone is None or zone == finding.zone)
    ]


def _truth_of(picture: ChestView | SkinCase | ForeignCase) -> PlanarTruth:
    present, extent = torch.zeros(len(SLOTS)), torch.zeros(len(SLOTS))
    slot_boxes = torch.zeros(len(SLOTS), 4)
    structures = torch.full((len(CHEST_STRUCTURES), 4), torch.nan)
    masks = torch.zeros(len(MASKS), MASK_SIDE, MASK_SIDE, dtype=torch.uint8)
    kind, skin = KINDS.index("foreign"), -1
    if isinstance(picture, ChestView):
        kind = KINDS.index("chest")
        for finding in picture.findings:
            for slot in slots_of(finding) if finding.visibility >= UNSEEN else ():
                if finding.extent >= extent[slot]:
                    present[slot], extent[slot] = 1, finding.extent
                    slot_boxes[slot] = torch.tensor(finding.box)
        for name, box in picture.boxes.items():
            structures[CHEST_STRUCTURES.index(name)] = torch.tensor(box)
        for name, mask in picture.masks.items():
            masks[MASKS.index(name)] = _small(mask)
    elif isinstance(picture, SkinCase):
        kind, skin = KINDS.index("skin"), SKIN_LESIONS.index(picture.diagnosis)
        masks[MASKS.index("lesion")] = _small(picture.mask)
    return PlanarTruth(torch.tensor(kind), present, extent, slot_boxes, structures, torch.tensor(skin), masks)


def _small(mask: NDArray[np.bool_]) -> Tensor:
    grid = torch.from_numpy(mask.astype(np.float32))[None, None]
    return (functional.interpolate(grid, (MASK_SIDE, MASK_SIDE), mode="area")[0, 0] > 0.5).to(torch.uint8)


def random_windows(n: int, rng: torch.Generator) -> Tensor:
    """(n, 4) scale x, scale y, shift x, shift y: output to input place in [-1, 1]; a third stays."""
    draw = torch.rand(n, 4, generator=rng)
    common = 0.9 + 0.28 * torch.rand(n, 1, generator=rng)
    scale = common * (0.95 + 0.1 * draw[:, :2])
    shift = 0.24 * (draw[:, 2:] - 0.5)
    window = torch.cat([scale, shift], dim=1)
    still = torch.rand(n, generator=rng) < 0.3
    window[still] = torch.tensor([1.0, 1.0, 0.0, 0.0])
    return window


def _sample(pictures: Tensor, window: Tensor, side: int) -> Tensor:
    theta = torch.zeros(len(window), 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = window[:, 0], window[:, 1]
    theta[:, :, 2] = window[:, 2:]
    grid = functional.affine_grid(theta, [len(window), 1, side, side], align_corners=False)
    return functional.grid_sample(pictures, grid, padding_mode="zeros", align_corners=False)


def windowed_boxes(boxes: Tensor, window: Tensor) -> Tensor:
    """Move (n, m, 4) boxes, fractions of the whole, to fractions of their (n, 4) windows."""
    scale, shift = window[:, None, :2].repeat(1, 1, 2), window[:, None, 2:].repeat(1, 1, 2)
    return ((((boxes * 2 - 1) - shift) / scale + 1) / 2).clamp(0, 1)


def random_exposures(pictures: Tensor, rng: torch.Generator) -> Tensor:
    """Vary contrast, gamma, brightness, sharpness and noise of fractions."""
    n = len(pictures)
    draw = torch.rand(n, 5, 1, 1, 1, generator=rng)
    pictures = pictures.clamp(0, 1) ** (0.75 + 0.6 * draw[:, 0])
    pictures = (pictures - 0.5) * (0.75 + 0.45 * draw[:, 1]) + 0.5 + 0.2 * (draw[:, 2] - 0.5)
    soft = functional.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False)
    pictures = pictures + (draw[:, 3] * 1.6 - 0.9) * (pictures - soft)
    noise = torch.randn(n, 1, SIDE, SIDE, generator=rng)
    return (pictures + 0.03 * (draw[:, 4] ** 2) * noise).clamp(0, 1)

"""Sets new nodules and consolidations into radiographs of a batch, so that every epoch shows others.

They are drawn on the finished picture in a fraction of a millisecond, as much like those of
`phantoms.chest_findings` as brightness alone allows; generated ones are too few to be learned in short time.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from model.training.planar_pool import KINDS, MASKS, SIDE, SIDES, SLOTS, ZONES, PlanarTruth

LEAST_PIXELS = 24
"""A lesion of which the lung leaves less is not set."""
LEAST_STRENGTH = 0.5
"""Of a nodule: how bright its middle is, times its radius in pixels; most of those below it are hidden, as
`phantoms.chest_findings.conspicuity` counts."""
PIXELS_OF_LARGEST = {"lung nodule": 10.0, "consolidation": 34.0}
"""Radius of the largest that is generated, on a picture of `SIDE` pixels."""
_SLOTS_OF = {label: [n for n, s in enumerate(SLOTS) if s[0] == label] for label in PIXELS_OF_LARGEST}


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    shade: Tensor
    """(SIDE, SIDE): what it adds to the picture."""
    region: Tensor
    """(SIDE, SIDE) bool."""
    radius: float


_Draw = Callable[[Tensor, Tensor, list[float], torch.Generator], _Drawn]
"""From the distances in pixels down and right of the middle, and four numbers from 0 to 1."""


def set_lesions(truth: PlanarTruth, rng: torch.Generator, *, share: float, strength: float = 1.0) -> Tensor:
    """Set a nodule or a consolidation into a lung on a part of the radiographs that do not show one.

    Writes presence, size and box into `truth`, which must be the caller's own. `strength` multiplies their
    brightness: what is easily seen is learned first.

    Returns:
        (n, 1, SIDE, SIDE): what the lesions add to the pictures.
    """
    added = torch.zeros(len(truth.kind), 1, SIDE, SIDE)
    for n in (truth.kind == KINDS.index("chest")).nonzero()[:, 0].tolist():
        draw = torch.rand(8, generator=rng).tolist()
        label = "lung nodule" if draw[0] < 0.5 else "consolidation"
        side = int(draw[1] < 0.5)
        lung = truth.masks[n, MASKS.index(f"{SIDES[side]} lung")]
        inside = lung.nonzero()
        if draw[2] >= share or not len(inside) or truth.present[n, _SLOTS_OF[label]].any():
            continue
        middle = (inside[int(draw[3] * len(inside))] + 0.5) * SIDE / lung.shape[-1]
        place = torch.arange(SIDE) + 0.5
        drawn = _DRAW[label]((place - middle[0])[:, None], place - middle[1], draw[4:], rng)
        whole = functional.interpolate(lung[None, None].float(), (SIDE, SIDE))[0, 0] > 0.5
        region = drawn.region & whole
        if region.sum() >= LEAST_PIXELS:
            added[n, 0] = strength * drawn.shade * whole
            slot = SLOTS.index((label, SIDES[side], _zone(region, whole)))
            truth.present[n, slot] = 1
            truth.extent[n, slot] = drawn.radius / PIXELS_OF_LARGEST[label]
            truth.slot_boxes[n, slot] = _box(region)
    return added


def _nodule(down: Tensor, right: Tensor, draw: list[float], rng: torch.Generator) -> _Drawn:
    """A slightly lobulated sphere."""
    radius = 3 + 7 * draw[0]
    angle = torch.atan2(down, right)
    lobes = 1 + 0.08 * torch.cos(2 * angle + 6 * draw[1]) + 0.06 * torch.cos(3 * angle + 6 * draw[2])
    distance = (right**2 + down**2).sqrt() / (radius * lobes)
    chord = (1 - distance**2).clamp(min=0).sqrt()
    shade = max(0.05 + 0.17 * draw[3], LEAST_STRENGTH / radius)
    return _Drawn(shade * chord, distance < 1, radius)


def _consolidation(down: Tensor, right: Tensor, draw: list[float], rng: torch.Generator) -> _Drawn:
    """A cloud with a ragged border."""
    radius, stretch = 11 + 22 * draw[0], 0.85 + 0.55 * draw[1]
    distance = ((right / stretch) ** 2 + (down * stretch) ** 2).sqrt() / radius
    distance = distance + 0.17 * _clouds(10, rng) + 0.1 * _clouds(28, rng)
    soft = ((1.05 - distance) / (0.25 + 0.25 * draw[2])).clamp(0, 1)
    grain = (1 + 0.25 * _clouds(55, rng)).clamp(0.4, 1.3)
    return _Drawn((0.06 + 0.22 * draw[3]) * soft * grain, soft > 0.45, radius)


_DRAW: dict[str, _Draw] = {"lung nodule": _nodule, "consolidation": _consolidation}


def _clouds(cells: int, rng: torch.Generator) -> Tensor:
    """Smooth noise of unit spread."""
    coarse = torch.randn(1, 1, cells, cells, generator=rng)
    smooth = functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic", align_corners=False)[0, 0]
    return smooth / smooth.std()


def _zone(region: Tensor, lung: Tensor) -> str:
    rows, inside = (mask.any(1).nonzero()[:, 0] for mask in (region, lung))
    part = float((rows.float().mean() - inside[0]) / (inside[-1] + 1 - inside[0]))
    return ZONES[min(int(3 * part), 2)]


def _box(region: Tensor) -> Tensor:
    """x1, y1, x2, y2 as fractions."""
    rows, columns = (region.any(axis).nonzero()[:, 0] for axis in (1, 0))
    return torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / SIDE

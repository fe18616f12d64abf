"""What the U-Nets are taught: first one vector per structure in place of words, then the words themselves.

A U-Net that learns with a vector per structure does not wait for the language model. Afterwards the layers
that listen to the language model (`text2seg_*`) learn to give the same vector for the hidden state of a tag,
and are then trained on masks through the frozen U-Net.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.families.medversa_networks.network import MedVersaNetwork
from model.reading import ABDOMINAL_ORGANS, CHEST_ORGANS
from model.training.devices import mixed_precision
from model.training.language_lessons import Hearing
from model.training.losses import segmentation_loss
from model.training.planar_pool import KINDS, MASKS, PlanarPool, normalised
from model.training.ranks import Rank
from model.training.volume_pool import VolumePool
from model.vision_modules.segmentation_2d import Segmentation2d
from model.vision_modules.segmentation_3d import Segmentation3d
from model.vision_modules.unet_3d import UNet3d


@dataclass(frozen=True, slots=True)
class SegmentationPlan:
    """What one step shows, and where."""

    seed: int
    steps: int
    device: torch.device
    rank: Rank
    pictures: int = 16
    volumes: int = 2
    coarse: float = 0.6
    """Part of the steps in which volumes lie on a coarser grid than they are served on."""

    def rng(self, step: int) -> torch.Generator:
        return self.rank.generator(self.seed, step)


COARSE = 2 / 3
"""Side of the coarser grid, relative to the served one."""
MISSING = 0.05
"""Chance that an organ is asked for that the slab does not hold."""


def planar_module(network: MedVersaNetwork, text: nn.Module) -> Segmentation2d:
    return Segmentation2d(network.model_seg_2d, text, network.text2seg_2d_gn, network.segmentation_size)


def volume_module(network: MedVersaNetwork, text: nn.Module) -> Segmentation3d:
    return Segmentation3d(network.visual_encoder_3d, text, network.text2seg_3d_gn)


def lay_out(module: nn.Module, memory_format: torch.memory_format) -> None:
    """Lay the weights of 3D convolutions out so; what they compute then lies alike."""
    for parameter in module.parameters():
        if parameter.ndim == 5:
            parameter.data = parameter.contiguous(memory_format=memory_format)


def planar_step(
    module: Segmentation2d, pool: PlanarPool, plan: SegmentationPlan
) -> Callable[[int], dict[str, Tensor]]:
    """One step over chest and skin pictures, a random structure of each; three of four show a chest."""
    chest = (pool.truth.kind == KINDS.index("chest")).nonzero()[:, 0]
    skin = (pool.truth.kind == KINDS.index("skin")).nonzero()[:, 0]
    pictures_at_once = plan.rank.share(plan.pictures)

    def step(n: int) -> dict[str, Tensor]:
        rng = plan.rng(n)
        quarter = max(pictures_at_once // 4, 1)
        rows = torch.cat([_some(chest, pictures_at_once - quarter, rng), _some(skin, quarter, rng)])
        pictures, truth = pool.variants(rows, rng, module.size)
        structure = torch.randint(len(CHEST_ORGANS), (len(rows),), generator=rng)
        structure[-quarter:] = MASKS.index("lesion")
        shrunk = functional.interpolate(pictures, (module.size, module.size), mode="bilinear", antialias=True)
        target = truth.masks[torch.arange(len(rows)), structure][:, None].float().to(plan.device)
        with mixed_precision(plan.device):
            levels = module.network.encode(normalised(shrunk.to(plan.device)))
            logits = module.logits(structure.to(plan.device), levels)
        return {"segmentation": segmentation_loss(logits, target)}

    return step


def volume_step(
    module: Segmentation3d, pool: VolumePool, grid: tuple[int, int, int], plan: SegmentationPlan
) -> Callable[[int], dict[str, Tensor]]:
    """One step over volumes: each is encoded once and decoded for every organ that it holds.

    Dice counts each organ by itself, so that a large one does not outweigh a small one.
    """
    coarse = (grid[0], round(grid[1] * COARSE), round(grid[2] * COARSE))

    def step(n: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([plan.seed, n, plan.rank.number])
        on = coarse if n < plan.coarse * plan.steps else grid
        rows = rng.integers(len(pool.voxels), size=plan.rank.share(plan.volumes)).tolist()
        losses = [_volume_loss(module, pool.variant(row, on, rng), rng, plan.device) for row in rows]
        return {"segmentation": torch.stack(losses).mean()}

    return step


def _volume_loss(
    module: Segmentation3d, drawn: tuple[Tensor, Tensor], rng: np.random.Generator, device: torch.device
) -> Tensor:
    voxels, labels = drawn
    organs = _organs(labels, rng)
    asked = torch.tensor(organs, device=device)
    target = torch.stack([labels == organ + 1 for organ in organs]).float().to(device)
    with mixed_precision(device):
        levels = _levels(module.network, voxels[None].to(device))
        logits = module.logits(asked, [level.expand(len(organs), -1, -1, -1, -1) for level in levels])
    return torch.stack(
        [segmentation_loss(one, of) for one, of in zip(logits[:, 0], target, strict=True)]
    ).mean()


def hearing_step(
    ear: Hearing, states: Tensor, structures: Tensor, seed: int
) -> Callable[[int], dict[str, Tensor]]:
    """One step that teaches a `text2seg` layer the vector that a tag's hidden state stands for."""

    def step(n: int) -> dict[str, Tensor]:
        rng = torch.Generator().manual_seed(seed + n)
        rows = torch.randint(len(states), (64,), generator=rng)
        return {"hearing": ear.loss(states[rows], structures[rows])}

    return step


@torch.no_grad()
def recovered_vectors(text: nn.Module, states: Tensor, structures: Tensor, count: int) -> nn.Embedding:
    """Recover the vector of each structure: the mean of what a trained `text2seg` layer makes of its tags.

    That layer was trained towards the vectors themselves, so that its mean over many tags' `states`
    (n, hidden) is its best word on them. A structure that no state means gets the mean of all.
    """
    told = text(states)
    vectors = told.mean(0).repeat(count, 1)
    for structure in structures.unique().tolist():
        vectors[structure] = told[structures == structure].mean(0)
    return nn.Embedding.from_pretrained(vectors, freeze=True)


def _levels(network: UNet3d, volumes: Tensor) -> list[Tensor]:
    """Encode as `UNet3d.encode`, the last level in float32.

    On a CPU, torch 2.13 returns arbitrary numbers as bfloat16 weight gradients of 3D convolutions on maps as
    small as that level's.
    """
    levels = [network.conv(volumes)]
    for level in (network.enc1, network.enc2, network.enc3):
        levels.append(level(levels[-1]))
    with mixed_precision(volumes.device, enabled=False):
        levels.append(network.enc4(levels[-1].float()))
    return levels


def _some(rows: Tensor, n: int, rng: torch.Generator) -> Tensor:
    return rows[torch.randint(len(rows), (n,), generator=rng)]


def _organs(labels: Tensor, rng: np.random.Generator) -> list[int]:
    """What the slab holds, rarely with something that it does not."""
    shown = [n for n in range(len(ABDOMINAL_ORGANS)) if bool((labels == n + 1).any())]
    others = [n for n in range(len(ABDOMINAL_ORGANS)) if n not in shown]
    if others and (not shown or rng.random() < MISSING):
        shown.append(int(rng.choice(others)))
    return shown

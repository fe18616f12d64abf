"""What the U-Nets are taught: first one vector per structure in place of words, then the words themselves.

A U-Net that learns with a vector per structure does not wait for the language model. Afterwards the layers
that listen to the language model (`text2seg_*`) learn to give the same vector for the hidden state of a tag,
and are then trained on masks through the frozen U-Net.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.families.medversa_networks.network import MedVersaNetwork
from model.reading import ABDOMINAL_ORGANS, CHEST_ORGANS
from model.training.language_lessons import Hearing
from model.training.losses import segmentation_loss
from model.training.planar_pool import KINDS, MASKS, PlanarPool, normalised
from model.training.volume_pool import VolumePool
from model.vision_modules.segmentation_2d import Segmentation2d
from model.vision_modules.segmentation_3d import Segmentation3d
from model.vision_modules.unet_3d import UNet3d


@dataclass(frozen=True, slots=True)
class SegmentationPlan:
    """How many pictures a step shows."""

    pictures: int = 16
    volumes: int = 2


def planar_module(network: MedVersaNetwork, text: nn.Module) -> Segmentation2d:
    return Segmentation2d(network.model_seg_2d, text, network.text2seg_2d_gn, network.segmentation_size)


def volume_module(network: MedVersaNetwork, text: nn.Module) -> Segmentation3d:
    return Segmentation3d(network.visual_encoder_3d, text, network.text2seg_3d_gn)


def planar_step(
    module: Segmentation2d, pool: PlanarPool, plan: SegmentationPlan, seed: int
) -> Callable[[int], dict[str, Tensor]]:
    """One step over chest and skin pictures, a random structure of each; three of four show a chest."""
    chest = (pool.truth.kind == KINDS.index("chest")).nonzero()[:, 0]
    skin = (pool.truth.kind == KINDS.index("skin")).nonzero()[:, 0]

    def step(n: int) -> dict[str, Tensor]:
        rng = torch.Generator().manual_seed(seed + n)
        quarter = plan.pictures // 4
        rows = torch.cat([_some(chest, plan.pictures - quarter, rng), _some(skin, quarter, rng)])
        pictures, truth = pool.variants(rows, rng, module.size)
        structure = torch.randint(len(CHEST_ORGANS), (len(rows),), generator=rng)
        structure[-quarter:] = MASKS.index("lesion")
        shrunk = functional.interpolate(pictures, (module.size, module.size), mode="bilinear", antialias=True)
        target = truth.masks[torch.arange(len(rows)), structure][:, None].float()
        with torch.autocast("cpu", torch.bfloat16):
            logits = module.logits(structure, module.network.encode(normalised(shrunk)))
        return {"segmentation": segmentation_loss(logits, target)}

    return step


def volume_step(
    module: Segmentation3d,
    pool: VolumePool,
    grid: tuple[int, int, int],
    plan: SegmentationPlan,
    seed: int,
) -> Callable[[int], dict[str, Tensor]]:
    """One step over volumes, a random organ of each; an organ that the slab does not hold is drawn rarely."""

    def step(n: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([seed, n])
        drawn = [pool.variant(int(rng.integers(len(pool.voxels))), grid, rng) for _ in range(plan.volumes)]
        organs = torch.tensor([_organ(labels, rng) for _, labels in drawn])
        volumes = torch.stack([voxels for voxels, _ in drawn])
        target = torch.stack(
            [(labels == o + 1).float() for (_, labels), o in zip(drawn, organs.tolist(), strict=True)]
        )
        with torch.autocast("cpu", torch.bfloat16):
            logits = module.logits(organs, _levels(module.network, volumes))
        return {"segmentation": segmentation_loss(logits, target[:, None])}

    return step


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
    with torch.autocast("cpu", enabled=False):
        levels.append(network.enc4(levels[-1].float()))
    return levels


def _some(rows: Tensor, n: int, rng: torch.Generator) -> Tensor:
    return rows[torch.randint(len(rows), (n,), generator=rng)]


def _organ(labels: Tensor, rng: np.random.Generator) -> int:
    shown: Sequence[int] = [n for n in range(len(ABDOMINAL_ORGANS)) if bool((labels == n + 1).any())]
    if not shown or rng.random() < 0.05:
        return int(rng.integers(len(ABDOMINAL_ORGANS)))
    return int(rng.choice(shown))

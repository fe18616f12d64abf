"""Slabs of the training volumes as the language model sees them, and what can be asked about each."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.families.medversa_networks.network import MedVersaNetwork
from model.reading import ABDOMINAL_ORGANS
from model.training.devices import mixed_precision
from model.training.instruction import Instruction
from model.training.instructions import instructions_for
from model.training.phantoms.truth import AbdomenCase
from model.training.volume_pool import VolumePool

LEAST_VOXELS = 30
"""An organ with fewer voxels on the network's grid is not said to be in a slab."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenSlabs:
    """Visual tokens of slabs cut from the volumes."""

    tokens: Tensor
    """(M, T, width) float16."""
    shown: Tensor
    """(M, organs) bool: which of `ABDOMINAL_ORGANS` a slab holds."""


@torch.inference_mode()
def see_slabs(network: MedVersaNetwork, pool: VolumePool, variants: int, seed: int) -> SeenSlabs:
    """Cut `variants` slabs out of each volume, the first of them whole, and encode them."""
    rng = np.random.default_rng([seed, 2])
    grid, device = network.sizes.volume_grid, network.ln_vision_3d.weight.device
    tokens: list[Tensor] = []
    shown: list[Tensor] = []
    for row in range(len(pool.voxels)):
        for v in range(variants):
            voxels, labels = pool.variant(row, grid, rng) if v else pool.whole(row, grid)
            # Variants are only near the volume anyhow, so half the effort does for them.
            with mixed_precision(device, enabled=v > 0):
                seen = network.seen_3d(network.visual_encoder_3d.encode(voxels[None].to(device)))
            tokens.append(seen[0].half().cpu())
            voxels_of = labels.flatten().bincount(minlength=len(ABDOMINAL_ORGANS) + 1)[1:]
            shown.append(voxels_of >= LEAST_VOXELS)
    return SeenSlabs(torch.stack(tokens), torch.stack(shown))


def slab_instructions(shown: Tensor, seed: int) -> list[tuple[Instruction, tuple[int, ...]]]:
    """What can be asked about each slab, with its row."""
    rng = np.random.default_rng([seed, 4])
    nothing, there = np.zeros((1, 1, 1), np.float32), np.ones((1, 1, 1), np.bool_)
    told: list[tuple[Instruction, tuple[int, ...]]] = []
    for row, flags in enumerate(shown.tolist()):
        masks = {name: there for name, flag in zip(ABDOMINAL_ORGANS, flags, strict=True) if flag}
        case = AbdomenCase(row, nothing, np.eye(4), masks)
        told.extend((instruction, (row,)) for instruction in instructions_for(case, rng))
    return told

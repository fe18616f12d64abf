"""`<2DSEG>`: a hidden state becomes a mask on a planar image."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.errors import AnswerError
from model.transforms import PlanarPlacement, planar_to_grid
from model.vision_modules.resnet_unet_2d import ResNetUNet2d
from model.vision_modules.vision_module import SeenImage
from model.volume import PlanarImage


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation2d:
    """Masks on a planar image: what to mask enters at the bottleneck of a U-Net."""

    network: ResNetUNet2d
    text: nn.Module
    """Hidden state to one number per bottleneck channel."""
    fusion_norm: nn.GroupNorm
    size: int
    """Side of the network's square grid."""

    def logits(self, states: Tensor, levels: list[Tensor]) -> Tensor:
        """Decode (n, hidden) states over n encoded pictures to (n, 1, S, S) logits."""
        told = self.fusion_norm(levels[-1] + self.text(states)[:, :, None, None])
        return self.network.decode([*levels[:-1], told])

    def __call__(self, states: Tensor, image: SeenImage) -> list[NDArray[np.float32]]:
        """See `VisionModule`."""
        if not isinstance(image.source, PlanarImage) or not isinstance(image.placement, PlanarPlacement):
            raise AnswerError("the model wrote a planar mask tag for a volume")
        pixels, _ = planar_to_grid(image.source, self.size)
        levels = self.network.encode(torch.from_numpy(pixels)[None].to(states.device))
        masks: list[NDArray[np.float32]] = []
        for state in states:
            probabilities = self.logits(state[None], levels)[0, 0].sigmoid().float().cpu().numpy()
            masks.append(image.placement.mask_to_source(probabilities))
        return masks

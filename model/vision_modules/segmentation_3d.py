"""`<3DSEG>`: a hidden state becomes a mask in a volume."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from model.errors import AnswerError
from model.transforms import VolumePlacement
from model.vision_modules.unet_3d import UNet3d
from model.vision_modules.vision_module import SeenImage


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation3d:
    """Masks in a volume, from the encoder features that the visual tokens were made of."""

    network: UNet3d
    text: nn.Module
    """Hidden state to one number per bottleneck channel."""
    fusion_norm: nn.GroupNorm

    def logits(self, states: Tensor, levels: list[Tensor]) -> Tensor:
        """Decode (n, hidden) states over n encoded volumes to (n, 1, D, I, J) logits."""
        return self.network.decode([*levels[:-1], self.told(states, levels[-1])])

    def told(self, states: Tensor, bottleneck: Tensor) -> Tensor:
        """Tell (n, channels, d, i, j) bottlenecks what to mask."""
        return self.fusion_norm(bottleneck + self.text(states)[:, :, None, None, None])

    def __call__(self, states: Tensor, image: SeenImage) -> list[NDArray[np.float32]]:
        """See `VisionModule`."""
        if not isinstance(image.placement, VolumePlacement):
            raise AnswerError("the model wrote a volume mask tag for a planar image")
        masks: list[NDArray[np.float32]] = []
        for state in states.float():
            logits = self.logits(state[None], list(image.levels))[0, 0]
            masks.append(image.placement.mask_to_source(logits.sigmoid().cpu().numpy()))
        return masks

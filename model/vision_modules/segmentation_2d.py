"""`<2DSEG>`: a hidden state becomes a mask on a planar image."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.errors import AnswerError
from model.reading import Modality
from model.transforms import PlanarPlacement, planar_to_grid
from model.vision_modules.resnet_unet_2d import ResNetUNet2d
from model.vision_modules.vision_module import SeenImage
from model.volume import PlanarImage

CHEST_AND_SKIN = (None, Modality.CXR, Modality.DERM)
"""What the first segmentation network masks; all other planar images go to the second, where there is one."""


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation2d:
    """Masks on a planar image: what to mask enters at the bottleneck of a U-Net."""

    network: ResNetUNet2d
    text: nn.Module
    """Hidden state to one number per bottleneck channel."""
    fusion_norm: nn.Module
    size: int
    """Side of the network's square grid."""
    name: str = "model_seg_2d"
    """Published name of the network."""

    def logits(self, states: Tensor, levels: list[Tensor]) -> Tensor:
        """Decode (n, hidden) states over n encoded pictures to (n, 1, S, S) logits."""
        return self.network.decode([*levels[:-1], self.told(states, levels[-1])])

    def told(self, states: Tensor, bottleneck: Tensor) -> Tensor:
        """Tell (n, channels, h, w) bottlenecks what to mask."""
        return self.fusion_norm(bottleneck + self.text(states)[:, :, None, None])

    def __call__(self, states: Tensor, image: SeenImage) -> list[NDArray[np.float32]]:
        """See `VisionModule`."""
        if not isinstance(image.source, PlanarImage) or not isinstance(image.placement, PlanarPlacement):
            raise AnswerError("the model wrote a planar mask tag for a volume")
        if self.name not in image.encoded:
            pixels, _ = planar_to_grid(image.source, self.size)
            image.encoded[self.name] = self.network.encode(torch.from_numpy(pixels)[None].to(states.device))
        masks: list[NDArray[np.float32]] = []
        for state in states.float():
            logits = self.logits(state[None], image.encoded[self.name])[0, 0]
            masks.append(image.placement.mask_to_source(logits.sigmoid().cpu().numpy()))
        return masks


@dataclass(frozen=True, slots=True, eq=False)
class SegmentationByModality:
    """The two planar segmentation networks of generation v1, chosen by what the image is."""

    chest_and_skin: Segmentation2d
    others: Segmentation2d

    def __call__(self, states: Tensor, image: SeenImage) -> list[NDArray[np.float32]]:
        """See `VisionModule`."""
        chosen = self.chest_and_skin if image.modality in CHEST_AND_SKIN else self.others
        return chosen(states, image)

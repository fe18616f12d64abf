"""`<DET>`: a hidden state becomes a box."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from model.errors import AnswerError
from model.transforms import PlanarPlacement
from model.vision_modules.vision_module import SeenImage


def detection_head(hidden: int, inner: int) -> nn.Sequential:
    """Build the layers that turn a hidden state into x1, y1, x2, y2 as unbounded fractions of the image."""
    return nn.Sequential(
        nn.LayerNorm(hidden), nn.Linear(hidden, inner), nn.ReLU(), nn.LayerNorm(inner), nn.Linear(inner, 4)
    )


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """Boxes on a planar image."""

    head: nn.Sequential

    def __call__(self, states: Tensor, image: SeenImage) -> list[NDArray[np.float32]]:
        """See `VisionModule`."""
        if not isinstance(image.placement, PlanarPlacement):
            raise AnswerError("the model wrote a box tag for a volume")
        place = image.placement
        return [
            np.asarray(place.box_to_source((x1, y1, x2, y2)), np.float32)
            for x1, y1, x2, y2 in self.head(states.float()).cpu().tolist()
        ]

"""What a tag of the language model calls: a network that turns its hidden state into a box or a mask."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from model.reading import Modality
from model.transforms import PlanarPlacement, VolumePlacement
from model.volume import PlanarImage, Volume


@dataclass(frozen=True, slots=True, eq=False)
class SeenImage:
    """One image of a request as the encoders saw it."""

    source: PlanarImage | Volume
    placement: PlanarPlacement | VolumePlacement
    """The way back from a network's grid to the source."""
    tokens: Tensor
    """(T, hidden): visual tokens as the language model reads them."""
    levels: tuple[Tensor, ...] = ()
    """Feature maps of the 3D U-Net, finest first; empty for a planar image."""
    modality: Modality | None = None
    """Which kind of picture it is; None is a radiograph or a skin photograph."""
    encoded: dict[str, list[Tensor]] = field(default_factory=dict[str, list[Tensor]])
    """Feature maps of planar segmentation networks by name, kept so that each encodes the image once."""


class VisionModule(Protocol):
    """One kind of picture work."""

    def __call__(self, states: Tensor, image: SeenImage) -> list[NDArray[np.float32]]:
        """Turn (n, hidden) states, one per tag, into n boxes or n masks on the image's own grid.

        A box is (4,): j0, i0, j1, i1 in source pixels. A mask is (K, J, I) probabilities; K is 1 for a planar
        image.

        Raises:
            AnswerError: the tag does not go with this kind of image.
        """
        ...

"""Pictures on a network's grids, varied where the paper varies them, and the way there for their masks."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.families.medversa_networks.sizes import MedVersaSizes
from model.reading import Modality, Task
from model.training.datasets.framing import CROPPED_TASKS, Framing, draw_framing, mask_to_grid, may_mirror
from model.training.sampling import Kind
from model.transforms import VolumePlacement, nearest_end_aligned, planar_to_grid, volume_to_grid
from model.volume import PlanarImage, Volume

NONE = "none"
"""The augmentation that leaves everything as it is."""


class Picture(Protocol):
    """One picture as networks see it."""

    @property
    def encoded(self) -> NDArray[np.float32]:
        """(3, S, S) or (1, D, I, J) for the encoder."""
        ...

    @property
    def segmented(self) -> NDArray[np.float32] | None:
        """(3, S, S) for the planar U-Net, where it is used."""
        ...

    def mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Bring a mask to the grid of the masks, nearest neighbour as published."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PlanarPicture:
    """A radiograph or photograph."""

    encoded: NDArray[np.float32]
    segmented: NDArray[np.float32] | None
    framing: Framing
    side: int
    """Of the masks."""

    def mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """See `Picture.mask`."""
        return mask_to_grid(self.framing.pixels(mask), self.side)


@dataclass(frozen=True, slots=True, eq=False)
class VolumePicture:
    """A volume, maybe mirrored along an axis of the grid."""

    encoded: NDArray[np.float32]
    placement: VolumePlacement
    axis: int | None
    segmented: None = None

    def mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """See `Picture.mask`."""
        against = tuple(n for n, flipped in enumerate(self.placement.flipped) if flipped)
        posed = np.flip(mask.transpose(self.placement.axes), against).astype(np.float32)
        grid = nearest_end_aligned(posed, self.encoded.shape[1:]) > 0
        return grid if self.axis is None else np.flip(grid, self.axis)


@dataclass(frozen=True, slots=True)
class View:
    """For what a picture is looked at."""

    kind: Kind
    sizes: MedVersaSizes
    augmentation: str
    labels: tuple[str, ...]
    """Of the masks that are asked for."""

    @property
    def is_for_masks(self) -> bool:
        return self.kind[1] is Task.SEGMENTATION

    @property
    def is_varied(self) -> bool:
        return self.augmentation != NONE

    @property
    def side(self) -> int:
        """Of the encoder's picture; generation v1 sees planar images larger where it is asked openly."""
        closely = self.kind[1] is Task.VQA and self.kind[0] is not Modality.CT
        vqa = self.sizes.vqa if closely else None
        return self.sizes.image_size if vqa is None else vqa.image_size


def placed(image: PlanarImage | Volume, view: View, rng: np.random.Generator) -> Picture:
    """Bring an image onto the grids that its modality and task use.

    Radiographs and photographs are cropped for the tasks that the paper crops, and mirrored for masks, unless
    a label has a side. Volumes are mirrored for masks: along any axis in the paper, along the depth as
    released.

    Raises:
        AbstentionError: a volume without contrast.
    """
    if isinstance(image, Volume):
        grid, placement = volume_to_grid(image, view.sizes.volume_grid)
        axis = _axis(view, rng)
        return VolumePicture(grid if axis is None else np.flip(grid, axis + 1).copy(), placement, axis)
    cropped = view.is_varied and view.kind[1] in CROPPED_TASKS
    mirrored = view.is_varied and may_mirror(*view.kind, *view.labels)
    shape = image.pixels.shape[0], image.pixels.shape[1]
    framing = draw_framing(shape, rng, cropped=cropped, mirrored=mirrored)
    shown, side = framing.picture(image), view.sizes.segmentation_size
    segmented = planar_to_grid(shown, side)[0] if view.is_for_masks else None
    return PlanarPicture(planar_to_grid(shown, view.side)[0], segmented, framing, side)


def _axis(view: View, rng: np.random.Generator) -> int | None:
    if not view.is_for_masks or not view.is_varied or rng.random() < 0.5:
        return None
    return int(rng.integers(3)) if view.augmentation == "paper" else 0

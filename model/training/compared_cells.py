"""What the states of a comparison must tell of each cell: how large a finding is there, in both images."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.families.medversa_networks.sizes import MedVersaSizes
from model.training.encoder_lessons import COVERED, SLOTS_OF_LABEL, by_label, covers, dense_loss
from model.training.planar_pool import PlanarTruth, windowed_boxes

COMPARED_WEIGHT = 0.3
LABELS = len(SLOTS_OF_LABEL)


class ComparedCells(nn.Module):
    """The state at each visual token of the second image must tell what lies there, in it and in the first.

    A comparison is a few words, the same for many pairs; each of its cells says where to look for them.
    """

    def __init__(self, sizes: MedVersaSizes) -> None:
        super().__init__()
        self.head = nn.Linear(sizes.hidden, LABELS * 2 * 2)

    def loss(self, states: Tensor, sizes: Tensor) -> Tensor:
        """Whether it is there, and how large where it is.

        Args:
            states: (n, T, hidden), at the tokens of the second image.
            sizes: (n, T, labels, 2), as `sizes_in_cells` gives them.
        """
        told = self.head(states).float().unflatten(2, (LABELS * 2, 2))
        wanted = sizes.flatten(2)
        there = wanted > 0
        each = [[2 * label, 2 * label + 1] for label in range(LABELS)]
        missed = dense_loss(told[..., 0].transpose(1, 2), there.transpose(1, 2).float(), each)
        wrong = functional.l1_loss(told[..., 1][there], wanted[there]) if there.any() else missed * 0
        return COMPARED_WEIGHT * (missed + 2 * wrong)


def sizes_in_cells(truth: PlanarTruth, windows: Tensor, side: int) -> Tensor:
    """Say of each cell of a second picture how large what lies there is in the first and in itself.

    What only the first shows is taken to lie at the same part of the second.

    Args:
        truth: of 2n pictures, the first and the second of each pair in turn.
        windows: (n, 4), how each second picture was cut.

    Returns:
        (n, side * side, labels, 2) extents, 0 where there is nothing.
    """
    present, extent, boxes = (
        one.unflatten(0, (-1, 2)) for one in (truth.present, truth.extent, truth.slot_boxes)
    )
    own = torch.where(present[:, 1, :, None] > 0, boxes[:, 1], boxes[:, 0])
    second = truth.picked(torch.arange(1, len(truth.present), 2))
    either = replace(second, present=present.amax(1), slot_boxes=windowed_boxes(own, windows))
    here = (covers(either, side) > COVERED).flatten(2)
    cells = by_label(here[..., None] * (present * extent).transpose(1, 2)[:, :, None])
    return cells.transpose(1, 2)

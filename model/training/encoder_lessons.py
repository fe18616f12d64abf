"""What the 2D encoder is taught before it meets the language model, and the heads that teach it.

The heads read the visual tokens that the language model will read, so that presence, place, size and boxes
are there to be read; the dense heads read the cells under them, so that place is learned from masks. All
heads are thrown away afterwards.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.sizes import MedVersaSizes
from model.reading import CHEST_STRUCTURES, SKIN_LESIONS
from model.training.losses import focal_loss
from model.training.planar_pool import KINDS, MASKS, SLOTS, PlanarTruth

CELL_BLOCK = 8
"""Each cell of the encoder's last grid foretells a block of this many mask pixels squared."""
SLOT_OF_LABEL = {label: [n for n, slot in enumerate(SLOTS) if slot[0] == label] for label, _, _ in SLOTS}


class EncoderLessons(nn.Module):
    """Auxiliary heads on visual tokens and on cells."""

    def __init__(self, sizes: MedVersaSizes) -> None:
        super().__init__()
        tokens = sizes.visual_tokens * sizes.swin_width
        self.trunk = nn.Sequential(nn.Linear(tokens, 384), nn.GELU(), nn.LayerNorm(384))
        self.kind = nn.Linear(384, len(KINDS))
        self.present = nn.Linear(384, len(SLOTS))
        self.present_straight = nn.Linear(tokens, len(SLOTS))
        self.extent = nn.Linear(384, len(SLOTS))
        self.slot_boxes = nn.Linear(384, len(SLOTS) * 4)
        self.structure_boxes = nn.Linear(384, len(CHEST_STRUCTURES) * 4)
        self.skin = nn.Linear(384, len(SKIN_LESIONS))
        self.masks = nn.Linear(sizes.swin_width, len(MASKS) * CELL_BLOCK**2)
        self.heat = nn.Linear(sizes.swin_width, len(SLOT_OF_LABEL) * 4)

    def loss(self, cells: Tensor, tokens: Tensor, truth: PlanarTruth) -> dict[str, Tensor]:
        """Weigh every lesson; `cells` is (N, G*G, width), `tokens` (N, T, width)."""
        flat = tokens.flatten(1)
        inner = self.trunk(flat)
        chest = truth.kind == KINDS.index("chest")
        present = self.present(inner) + self.present_straight(flat)
        return {
            "kind": 0.5 * functional.cross_entropy(self.kind(inner), truth.kind),
            "present": 20 * focal_loss(present[chest], truth.present[chest]),
            "extent": 2 * _where(truth.present[chest] > 0, self.extent(inner)[chest], truth.extent[chest]),
            "slot boxes": 4
            * _where(
                (truth.present[chest] > 0)[..., None],
                _boxes(self.slot_boxes(inner))[chest],
                truth.slot_boxes[chest],
            ),
            "structure boxes": 4
            * _where(
                truth.structure_boxes[chest].isfinite(),
                _boxes(self.structure_boxes(inner))[chest],
                truth.structure_boxes[chest].nan_to_num(),
            ),
            "skin": 0.3 * _classes(self.skin(inner), truth.skin),
            "masks": 4 * focal_loss(self._mask_logits(cells), truth.masks.float()),
            "heat": 40 * focal_loss(self._heat_logits(cells)[chest], _heat(truth)[chest]),
        }

    def _mask_logits(self, cells: Tensor) -> Tensor:
        return _blocks(self.masks(cells), len(MASKS), CELL_BLOCK)

    def _heat_logits(self, cells: Tensor) -> Tensor:
        return _blocks(self.heat(cells), len(SLOT_OF_LABEL), 2)


def cells_and_tokens(network: MedVersaNetwork, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Encode normalised pictures to the last grid and to the visual tokens made of it."""
    cells: Tensor = network.visual_encoder_2d(pictures).last_hidden_state
    return cells, network.tokens_2d(cells)


def _blocks(values: Tensor, channels: int, block: int) -> Tensor:
    """(N, G*G, channels*block*block) to (N, channels, G*block, G*block)."""
    n, cells, _ = values.shape
    side = int(cells**0.5)
    split = values.reshape(n, side, side, channels, block, block)
    return split.permute(0, 3, 1, 4, 2, 5).reshape(n, channels, side * block, side * block)


def _boxes(values: Tensor) -> Tensor:
    return values.unflatten(1, (-1, 4))


def _where(mask: Tensor, found: Tensor, target: Tensor) -> Tensor:
    """Smooth L1 over the elements that exist; 0 where none does."""
    weight = mask.expand_as(target).float()
    loss = functional.smooth_l1_loss(found.float(), target, beta=0.05, reduction="none")
    return (loss * weight).sum() / weight.sum().clamp(min=1)


def _classes(logits: Tensor, target: Tensor) -> Tensor:
    known = target >= 0
    if not known.any():
        return logits.sum() * 0
    return functional.cross_entropy(logits[known].float(), target[known])


def _heat(truth: PlanarTruth) -> Tensor:
    """(N, labels, 14, 14): how much of each cell the boxes of a label cover."""
    low = torch.arange(14) / 14
    x1, y1, x2, y2 = truth.slot_boxes[..., None].unbind(2)
    across = (torch.minimum(x2, low + 1 / 14) - torch.maximum(x1, low)).clamp(min=0) * 14
    down = (torch.minimum(y2, low + 1 / 14) - torch.maximum(y1, low)).clamp(min=0) * 14
    cover = down[..., :, None] * across[..., None, :] * truth.present[..., None, None]
    # A box smaller than a cell still has one cell that is its own.
    cover = cover / cover.amax((-2, -1), keepdim=True).clamp(min=0.05)
    return torch.stack([cover[:, slots].amax(1) for slots in SLOT_OF_LABEL.values()], dim=1).clamp(0, 1)

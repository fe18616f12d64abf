"""What the 2D encoder is taught before it meets the language model, and the heads that teach it.

Every head reads one cell of the encoder's last grid, which is the visual token that the language model will
read there, and foretells what lies in and around that cell: which finding with its box and size, which organ,
where each structure of the anatomy ends. What a question needs is then to be found in the token at its place.
All heads are thrown away afterwards.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.sizes import MedVersaSizes
from model.reading import CHEST_STRUCTURES, SKIN_LESIONS
from model.training.losses import box_loss, focal_loss
from model.training.planar_pool import KINDS, MASKS, SLOTS, PlanarTruth

MASK_BLOCK, SLOT_BLOCK, LABEL_BLOCK = 8, 2, 4
"""Each cell foretells a block of so many squared: pixels of organ masks, of slots, of finding labels."""
EARLY_BLOCK = 2
"""The same for labels foretold after the first stage, so that it is soon told what is worth seeing."""
SLOTS_OF_LABEL = {label: [n for n, slot in enumerate(SLOTS) if slot[0] == label] for label, _, _ in SLOTS}
_EACH = [[n] for n in range(len(SLOTS_OF_LABEL))]
REACH = 0.25
"""Of the image's side: the unit in which a cell foretells how far away an edge is."""
COVERED = 0.3
"""Of a cell (or of the most that a small finding covers of any), from which it tells box and size."""
LEAST_PLACES = 4
"""Of a label in a batch, that its loss is shared among."""
RARE = -4.0
"""Log-odds that a finding begins with in any place."""


class EncoderLessons(nn.Module):
    """Auxiliary heads on cells."""

    def __init__(self, sizes: MedVersaSizes) -> None:
        super().__init__()
        width = sizes.swin_width
        self.kind = nn.Linear(width, len(KINDS))
        self.skin = nn.Linear(width, len(SKIN_LESIONS))
        self.masks = nn.Linear(width, len(MASKS) * MASK_BLOCK**2)
        self.slots = nn.Linear(width, len(SLOTS) * SLOT_BLOCK**2)
        self.labels = nn.Linear(width, len(SLOTS_OF_LABEL) * LABEL_BLOCK**2)
        self.finding_boxes = nn.Linear(width, len(SLOTS_OF_LABEL) * 4)
        self.extent = nn.Linear(width, len(SLOTS))
        self.structure_boxes = nn.Linear(width, len(CHEST_STRUCTURES) * 4)
        self.early_norm = nn.LayerNorm(sizes.swin_embed * 2)
        self.early = nn.Linear(sizes.swin_embed * 2, len(SLOTS_OF_LABEL) * EARLY_BLOCK**2)
        for rare in (self.slots, self.labels, self.early):
            nn.init.constant_(rare.bias, RARE)

    def loss(self, cells: Tensor, early: Tensor, truth: PlanarTruth) -> dict[str, Tensor]:
        """Weigh every lesson.

        Args:
            cells: (N, G*G, width), normalised as the language model sees them.
            early: (N, E*E, 2 x first width): what the first stage hands to the second.
        """
        middle = cells.mean(1)
        masks = blocks(self.masks(cells), len(MASKS), MASK_BLOCK)
        losses = {
            "kind": 0.5 * functional.cross_entropy(self.kind(middle).float(), truth.kind),
            "skin": 0.3 * _classes(self.skin(middle), truth.skin),
            "masks": 4 * focal_loss(masks, truth.masks.float()),
        }
        chest = truth.kind == KINDS.index("chest")
        seen = truth.picked(chest)
        shown = blocks(self.early(self.early_norm(early[chest])), len(SLOTS_OF_LABEL), EARLY_BLOCK)
        losses["early"] = dense_loss(shown, by_label(covers(seen, shown.shape[-1])), _EACH)
        return losses | self._chest_losses(cells[chest], seen)

    def _chest_losses(self, cells: Tensor, truth: PlanarTruth) -> dict[str, Tensor]:
        side = int(cells.shape[1] ** 0.5)
        here = covers(truth, side).flatten(2)
        shown = here > COVERED
        boxes, shows = _boxes_in_cells(truth, here)
        extent = self.extent(cells).transpose(1, 2)
        structures = truth.structure_boxes[:, :, None].expand(-1, -1, side * side, -1)
        return {
            "slots": 2
            * dense_loss(
                blocks(self.slots(cells), len(SLOTS), SLOT_BLOCK),
                covers(truth, side * SLOT_BLOCK),
                list(SLOTS_OF_LABEL.values()),
            ),
            "labels": 2
            * dense_loss(
                blocks(self.labels(cells), len(SLOTS_OF_LABEL), LABEL_BLOCK),
                by_label(covers(truth, side * LABEL_BLOCK)),
                _EACH,
            ),
            "finding boxes": _each_label(_edges(self.finding_boxes(cells)), boxes, shows),
            "extent": 2 * _near(extent[shown], truth.extent[:, :, None].expand_as(here)[shown]),
            "structure boxes": 4 * _near_edges(_edges(self.structure_boxes(cells)), structures),
        }


def cells_of(network: MedVersaNetwork, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Encode normalised pictures to the last grid, normalised, and to what the first stage hands on."""
    seen = network.visual_encoder_2d(pictures, output_hidden_states=True)
    return network.ln_vision_2d(seen.last_hidden_state), seen.hidden_states[1]


def blocks(values: Tensor, channels: int, block: int) -> Tensor:
    """(N, G*G, channels*block*block) to (N, channels, G*block, G*block)."""
    n, cells, _ = values.shape
    side = int(cells**0.5)
    split = values.reshape(n, side, side, channels, block, block)
    return split.permute(0, 3, 1, 4, 2, 5).reshape(n, channels, side * block, side * block)


def covers(truth: PlanarTruth, side: int) -> Tensor:
    """(N, slots, side, side): how much of each cell the box of a finding covers.

    A box smaller than a cell still has one cell that is its own.
    """
    low = torch.arange(side, device=truth.slot_boxes.device) / side
    x1, y1, x2, y2 = truth.slot_boxes[..., None].unbind(2)
    across = (torch.minimum(x2, low + 1 / side) - torch.maximum(x1, low)).clamp(min=0) * side
    down = (torch.minimum(y2, low + 1 / side) - torch.maximum(y1, low)).clamp(min=0) * side
    cover = down[..., :, None] * across[..., None, :] * truth.present[..., None, None]
    return cover / cover.amax((-2, -1), keepdim=True).clamp(min=0.05)


def by_label(of_slots: Tensor) -> Tensor:
    """Take the most of all slots of a label: (N, slots, ...) to (N, labels, ...)."""
    return torch.stack([of_slots[:, slots].amax(1) for slots in SLOTS_OF_LABEL.values()], dim=1)


def dense_loss(logits: Tensor, target: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Quality focal loss (Li et al. 2020) over all places of (N, channels, G, G).

    Each group of channels counts alike, per place that it covers: a nodule covers a hundredth of what a heart
    does, and would not be learned otherwise.
    """
    logits = logits.float()
    wrong = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    missed = (target - logits.sigmoid()).square() * wrong
    shares = [
        missed[:, group].sum() / (target[:, group] > 0.5).sum().clamp(min=LEAST_PLACES)
        for group in (list(channels) for channels in groups)
    ]
    return torch.stack(shares).mean()


def _each_label(found: Tensor, boxes: Tensor, shows: Tensor) -> Tensor:
    """The mean over labels of the loss of (N, labels, cells, 4) boxes where each shows."""
    labels = range(found.shape[1])
    losses = [box_loss(found[:, n][shows[:, n]], boxes[:, n][shows[:, n]]) for n in labels]
    return torch.stack(losses).mean()


def _boxes_in_cells(truth: PlanarTruth, here: Tensor) -> tuple[Tensor, Tensor]:
    """(N, labels, cells, 4): the box of the slot that covers a cell most, and where one does."""
    boxes: list[Tensor] = []
    for slots in SLOTS_OF_LABEL.values():
        most = here[:, slots].argmax(1)[..., None].expand(-1, -1, 4)
        boxes.append(truth.slot_boxes[:, slots].gather(1, most))
    return torch.stack(boxes, dim=1), by_label(here) > COVERED


def _edges(values: Tensor) -> Tensor:
    """(N, G*G, boxes*4) offsets from each cell's middle to (N, boxes, G*G, 4) fractions of the image."""
    side = int(values.shape[1] ** 0.5)
    middles = (torch.arange(side, device=values.device) + 0.5) / side
    grid = torch.stack(torch.meshgrid(middles, middles, indexing="xy"), dim=-1).reshape(-1, 2).repeat(1, 2)
    return values.float().unflatten(2, (-1, 4)).transpose(1, 2) * REACH + grid


def _near(found: Tensor, target: Tensor) -> Tensor:
    """Smooth L1; 0 where there is nothing."""
    if not len(target):
        return found.sum() * 0
    return functional.smooth_l1_loss(found.float(), target, beta=0.1)


def _near_edges(found: Tensor, target: Tensor) -> Tensor:
    known = target.isfinite()
    return (found - target.nan_to_num()).abs()[known].sum() / known.sum().clamp(min=1)


def _classes(logits: Tensor, target: Tensor) -> Tensor:
    known = target >= 0
    if not known.any():
        return logits.sum() * 0
    return functional.cross_entropy(logits[known].float(), target[known])


def begin_as_convolution(encoder: nn.Module) -> None:
    """Let a Swin encoder of random numbers begin as a convolution does, which phantoms are too few to teach.

    Each head looks at one neighbour at first, whatever is there (d'Ascoli et al. 2021, ConViT), and weights
    are as large as their width asks for (Glorot), where the library's are made for wide layers.
    """
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
        elif isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.kaiming_uniform_(module.weight, a=1)
            # The norm that follows would leave of an even patch no more than whether it is bright or dark.
            nn.init.normal_(module.bias)
    for name, parameter in encoder.named_parameters():
        if ".q_proj." in name:
            nn.init.zeros_(parameter)
        elif name.endswith("relative_position_bias_table"):
            _look_at_neighbours(parameter)


_NEIGHBOURS = ((0, -1), (0, 1), (-1, 0), (1, 0), (-1, -1), (1, 1), (-1, 1), (1, -1))
"""Rows down, columns right."""
AWAY = -12.0
"""Bias of any place but the neighbour and, at a quarter of it, the places beside that."""


@torch.no_grad()
def _look_at_neighbours(table: Tensor) -> None:
    """Fill a (places, heads) table with the bias that makes each head look at one neighbour."""
    window = (int(len(table) ** 0.5) + 1) // 2
    steps = torch.arange(1 - window, window, dtype=torch.float)
    places = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1).reshape(-1, 2)
    for head in range(table.shape[1]):
        away = (places - torch.tensor(_NEIGHBOURS[head % len(_NEIGHBOURS)])).square().sum(1)
        table[:, head] = AWAY * (away / 4).clamp(max=1)

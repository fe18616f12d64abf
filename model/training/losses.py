"""The losses of MedVersa's tasks, as released and as in the paper; each total is the language loss plus one
task's term.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

DETECTION_WEIGHT = 100.0
FOCAL_WEIGHT = 10.0
FOCAL_GAMMA = 2.0
IGNORED = -100
"""Label of positions that teach nothing: the prefix, the question, padding."""


def language_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each next token over the positions that are not `IGNORED`.

    Args:
        logits: (B, L, vocabulary).
        labels: (B, L); labels[:, n] is the token *at* position n, foretold by position n - 1.
    """
    foretold = logits[:, :-1].flatten(0, 1).float()
    return functional.cross_entropy(foretold, labels[:, 1:].flatten(), ignore_index=IGNORED)


def detection_loss(boxes: Tensor, targets: Tensor) -> Tensor:
    """100 x smooth L1 (beta 1), mean over (n, 4) fractions; 0 where there is no box."""
    if not len(targets):
        return boxes.sum() * 0
    return DETECTION_WEIGHT * functional.smooth_l1_loss(boxes.float(), targets)


def box_loss(boxes: Tensor, targets: Tensor) -> Tensor:
    """4 x L1 + 1 - generalised IoU (Rezatofighi et al. 2019), mean over (n, 4) fractions; 0 without a box.

    Not a loss of MedVersa: beside `detection_loss`, whose slope vanishes near the goal, it brings small boxes
    home.
    """
    if not len(targets):
        return boxes.sum() * 0
    boxes = boxes.float()
    low, high = torch.maximum(boxes[:, :2], targets[:, :2]), torch.minimum(boxes[:, 2:], targets[:, 2:])
    common = (high - low).clamp(min=0).prod(1)
    union = _area(boxes) + _area(targets) - common
    around = (
        (torch.maximum(boxes[:, 2:], targets[:, 2:]) - torch.minimum(boxes[:, :2], targets[:, :2]))
        .clamp(min=0)
        .prod(1)
    )
    generalised = common / union.clamp(min=1e-6) - (around - union) / around.clamp(min=1e-6)
    return 4 * functional.l1_loss(boxes, targets) + (1 - generalised).mean()


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1)


def focal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean binary focal loss with gamma 2 and no class weight."""
    logits = logits.float()
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    wrongness = functional.logsigmoid(-logits * (2 * targets - 1))
    return (torch.exp(FOCAL_GAMMA * wrongness) * cross_entropy).mean()


def dice_coefficient(logits: Tensor, targets: Tensor) -> Tensor:
    """Soft Dice with smoothing 1 over the whole flattened batch."""
    probabilities = logits.float().sigmoid()
    overlap = (probabilities * targets).sum()
    return (2 * overlap + 1) / (probabilities.sum() + targets.sum() + 1)


def segmentation_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """10 x focal - ln(Dice)."""
    return FOCAL_WEIGHT * focal_loss(logits, targets) - dice_coefficient(logits, targets).log()


def regression_loss(boxes: Tensor, targets: Tensor) -> Tensor:
    """Smooth L1 (beta 1) without a weight, mean over (n, 4) fractions; 0 where there is no box."""
    return detection_loss(boxes, targets) / DETECTION_WEIGHT


def dice_and_focal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Focal loss plus 1 - Dice with equal weights, the Dice of each (n, ...) mask on its own, smoothing 1."""
    probabilities, targets = logits.float().sigmoid().flatten(1), targets.flatten(1)
    overlap = (probabilities * targets).sum(1)
    dice = (2 * overlap + 1) / (probabilities.sum(1) + targets.sum(1) + 1)
    return focal_loss(logits.flatten(1), targets) + (1 - dice).mean()


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is added to the language loss of a task with tags; both are means over boxes or masks."""

    detection: Callable[[Tensor, Tensor], Tensor]
    segmentation: Callable[[Tensor, Tensor], Tensor]


RECIPES: dict[str, Recipe] = {
    "released": Recipe(detection_loss, segmentation_loss),
    "paper": Recipe(regression_loss, dice_and_focal_loss),
}
"""The released code weighs its terms 100 and 10; the paper says that they have equal weights."""

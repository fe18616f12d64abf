"""How well boxes and masks of a batch overlap what they were to be; for validation."""

from torch import Tensor


def box_overlaps(boxes: Tensor, targets: Tensor) -> Tensor:
    """Intersection over union of (n, 4) x1, y1, x2, y2 with their targets: (n,)."""
    low, high = boxes[:, :2].maximum(targets[:, :2]), boxes[:, 2:].minimum(targets[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    areas = [(b[:, 2:] - b[:, :2]).clamp(min=0).prod(1) for b in (boxes, targets)]
    return shared / (areas[0] + areas[1] - shared).clamp(min=1e-9)


def mask_overlaps(logits: Tensor, targets: Tensor) -> Tensor:
    """Dice of (n, ...) masks, true where the logit is at least 0, with their targets: (n,).

    Two empty masks agree.
    """
    said, true = (logits >= 0).flatten(1).float(), targets.flatten(1)
    shared, both = (said * true).sum(1), said.sum(1) + true.sum(1)
    return ((2 * shared) / both.clamp(min=1)).where(both > 0, 1.0)

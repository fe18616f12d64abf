"""Examples of one modality and task side by side, as tensors for the network."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from model.training.losses import IGNORED
from model.training.sampling import Kind

TERMS: tuple[str, ...] = ("language", "detection", "segmentation")
"""What a step is taught by: tokens, boxes and masks."""


@dataclass(frozen=True, slots=True, eq=False)
class MicroBatch:
    """What goes through the network at once; texts are left-padded."""

    kind: Kind
    number: int
    """Place in its step, the same on however many devices."""
    ids: Tensor
    """(B, L)."""
    mask: Tensor
    """(B, L): 1 where real."""
    labels: Tensor
    """(B, L): the id, or `IGNORED` before the answer."""
    pictures: Tensor
    """(n, 3, S, S) or (n, 1, D, I, J): every picture once."""
    shown: Tensor
    """(images of all rows,): which of `pictures` each `<imgN>` shows, row by row."""
    boxes: Tensor
    """(k, 4): one per `<DET>`, in order."""
    segmented: Tensor
    """(n, 3, S, S) pictures on the grid of the planar U-Net; empty for other tasks and for volumes."""
    masked: Tensor
    """(m,): which picture each `<2DSEG>` or `<3DSEG>` masks, in order."""
    masks: Tensor
    """(m, 1, ...) float32 truths on the network's grid."""

    @property
    def counts(self) -> Tensor:
        """(3,) int64: tokens, boxes and masks that are taught; see `TERMS`."""
        tokens = (self.labels[:, 1:] != IGNORED).sum()
        return torch.tensor([int(tokens), len(self.boxes), len(self.masks)])

    def to(self, device: torch.device) -> "MicroBatch":
        """Move every tensor."""
        moved = {
            f.name: value.to(device, non_blocking=True)
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), Tensor)
        }
        return replace(self, **moved)


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One question with its answer, in ids, and what each tag of the answer must yield."""

    asked: Sequence[int]
    answered: Sequence[int]
    pictures: Sequence[int]
    """Rows of the micro-batch's pictures, in the order of `<imgN>`."""
    boxes: Sequence[tuple[float, float, float, float]] = ()
    mask: Tensor | None = None
    """(1, ...) float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Every picture of a micro-batch once."""

    encoded: Tensor
    """(n, ...) as the encoder sees them."""
    segmented: Tensor
    """(n, 3, S, S) as the planar U-Net sees them, or empty."""


def side_by_side(kind: Kind, number: int, examples: Sequence[Example], pictures: Pictures) -> MicroBatch:
    """Lay examples under each other."""
    length = max(len(e.asked) + len(e.answered) for e in examples)
    ids = torch.zeros(len(examples), length, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for row, example in enumerate(examples):
        answer_at = length - len(example.answered)
        start = answer_at - len(example.asked)
        ids[row, start:] = torch.tensor([*example.asked, *example.answered])
        mask[row, start:] = 1
        labels[row, answer_at:] = ids[row, answer_at:]
    boxes = [box for e in examples for box in e.boxes]
    masks = [(e.pictures[0], e.mask) for e in examples if e.mask is not None]
    return MicroBatch(
        kind,
        number,
        ids,
        mask,
        labels,
        pictures.encoded,
        torch.tensor([p for e in examples for p in e.pictures], dtype=torch.long),
        torch.tensor(np.asarray(boxes, np.float32).reshape(-1, 4)),
        pictures.segmented,
        torch.tensor([picture for picture, _ in masks], dtype=torch.long),
        torch.stack([m for _, m in masks]) if masks else torch.zeros(0),
    )

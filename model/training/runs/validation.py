"""Examines a learner on held-out cases, and says whether it has become better."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from accelerate import Accelerator
from torch import Tensor

from model.training.runs.checkpoints import Standing
from model.training.runs.microbatch import TERMS, MicroBatch
from model.training.runs.steps import Examination
from model.training.sampling import Kind

RISING = frozenset({"dice", "iou"})
"""Figures of which more is better."""
_MARKS = {"iou": "detection", "dice": "segmentation"}
"""What each overlap is counted by."""
_COLUMNS = (*TERMS, *_MARKS)


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Sums and counts of each kind: (kinds, columns) and (kinds, terms)."""

    sums: Tensor
    counts: Tensor


@torch.no_grad()
def examine(accelerator: Accelerator, learner: torch.nn.Module, examination: Examination) -> dict[str, float]:
    """Read every micro-batch of a validation, each on one device.

    Returns:
        `loss`, the mean over kinds of all their terms; `loss/<modality> <task>`; `language`, the mean over
        kinds of the language loss; `iou` and `dice`, means over all boxes and masks, where there are any.
    """
    kinds = list(dict.fromkeys(kind for kind, _ in examination.drawn))
    sums = torch.zeros(len(kinds), len(_COLUMNS), device=accelerator.device)
    counts = torch.zeros(len(kinds), len(TERMS), device=accelerator.device)
    devices, total = accelerator.num_processes, len(examination)
    # Layers that are spread over devices wait for all of them, so that each must read as many.
    for first in range(0, total, devices):
        number = first + accelerator.process_index
        batch = examination[min(number, total - 1)]
        totals = learner(batch.to(accelerator.device), _wanted(batch))
        if number < total:
            row = kinds.index(batch.kind)
            counts[row] += batch.counts.to(counts)
            for column, name in enumerate(_COLUMNS):
                if name in totals:
                    sums[row, column] += totals[name].float()
    whole = _Sums(_reduced(accelerator, sums), _reduced(accelerator, counts))
    return dict(_figures(kinds, whole))


def judged(standing: Standing, figure: float, best_by: str) -> Standing:
    """Note whether a figure is the best so far; the first one always is, a figure that is no number never."""
    better = standing.best_figure is None or (
        figure > standing.best_figure if best_by in RISING else figure < standing.best_figure
    )
    if better and figure == figure:
        return replace(standing, best_step=standing.step, best_figure=figure, waited=0)
    return replace(standing, waited=standing.waited + 1)


def _wanted(batch: MicroBatch) -> frozenset[str]:
    return frozenset(term for term, n in zip(TERMS, batch.counts.tolist(), strict=True) if n)


def _reduced(accelerator: Accelerator, tensor: Tensor) -> Tensor:
    summed = accelerator.reduce(tensor, "sum")
    if not isinstance(summed, Tensor):
        raise TypeError(type(summed).__name__)
    return summed.cpu()


def _figures(kinds: list[Kind], whole: _Sums) -> Mapping[str, float]:
    terms = len(TERMS)
    means = whole.sums[:, :terms] / whole.counts.clamp(min=1)
    losses = means.sum(1)
    figures = {"loss": float(losses.mean()), "language": float(means[:, 0].mean())}
    figures |= {f"loss/{m} {t}": float(loss) for (m, t), loss in zip(kinds, losses, strict=True)}
    for column, (mark, term) in enumerate(_MARKS.items(), start=terms):
        counted = whole.counts[:, TERMS.index(term)].sum()
        if counted:
            figures[mark] = float(whole.sums[:, column].sum() / counted)
    return figures

"""Muon (Jordan et al. 2024): matrices move along the orthogonal matrix that is nearest to their momentum.

PyTorch's own always multiplies in bfloat16, which takes twice as long on a CPU that has no unit for it, and
every process computes every matrix. Here each process takes its share of them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from model.training.devices import product_type
from model.training.ranks import ALONE, Rank

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic Newton-Schulz iteration, as Jordan chose them."""
ITERATIONS = 5
MOMENTUM = 0.95


class Muon(torch.optim.Optimizer):
    """With Nesterov's momentum, and steps as long as those of AdamW (Liu et al. 2025)."""

    def __init__(self, matrices: Sequence[nn.Parameter], weight_decay: float, rank: Rank = ALONE) -> None:
        super().__init__(matrices, {"lr": 0.0, "weight_decay": weight_decay})
        self.rank = rank

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move all matrices that have a gradient, which must be the same in all processes."""
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            along = [self._momentum(p, p.grad) for p in moved]
            mine = self.rank.part(range(len(moved)))
            parts = [orthogonal(m) if n in mine else torch.zeros_like(m) for n, m in enumerate(along)]
            for parameter, direction in zip(moved, self.rank.added(parts), strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(direction, alpha=-group["lr"] * 0.2 * max(parameter.shape) ** 0.5)

    def _momentum(self, parameter: nn.Parameter, gradient: Tensor) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        kept = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(kept, MOMENTUM)


def orthogonal(matrix: Tensor) -> Tensor:
    """Bring all singular values near 1 (0.7 to 1.2), whatever they were; a matrix of zeros stays one."""
    a, b, c = COEFFICIENTS
    tall = len(matrix) > matrix.shape[1]
    x = (matrix.T if tall else matrix).to(product_type(matrix.device))
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).to(matrix.dtype)

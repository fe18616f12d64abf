"""Which parameters an optimizer lets decay: matrices and kernels, not biases and norms, as released."""

from collections.abc import Iterable
from typing import Any

from torch import nn

_SPARED = ("bias", "ln", "bn")
"""Parts of names that the released optimizer spares, beside everything with less than two dimensions."""


def decay_groups(named: Iterable[tuple[str, nn.Parameter]], weight_decay: float) -> list[dict[str, Any]]:
    """Divide parameters into AdamW's two groups, the decaying one first; an empty group is left out."""
    decaying: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for name, parameter in named:
        (spared if is_spared(name, parameter) else decaying).append(parameter)
    groups = ((decaying, weight_decay), (spared, 0.0))
    return [{"params": members, "weight_decay": decay} for members, decay in groups if members]


def is_spared(name: str, parameter: nn.Parameter) -> bool:
    """Whether a parameter is a bias or belongs to a norm."""
    return parameter.ndim < 2 or any(part in name for part in _SPARED)

"""How parameters of the demonstration weights go down: by AdamW, matrices between states by Muon.

The released model starts from a pre-trained encoder and language model. The demonstration ones start from
random numbers, and their matrices need half the steps (language) or less than a fifth (pictures) where each
step moves all their directions alike (Jordan et al. 2024).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from model.training.muon import Muon
from model.training.ranks import ALONE, Rank


@dataclass(frozen=True, slots=True, eq=False)
class Matrices:
    """Parameters that learn by Muon."""

    parameters: Sequence[nn.Parameter]
    rate: float
    """Relative to that of AdamW; at 1 both move a matrix by as much (Liu et al. 2025)."""


class Descent:
    """One or two optimizers that keep step."""

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        weight_decay: float,
        matrices: Matrices | None = None,
        rank: Rank = ALONE,
    ) -> None:
        """Wake all parameters of the modules; some of them may be matrices that learn by Muon."""
        self.parameters = [p for m in modules.values() for p in m.parameters()]
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        by_muon = {id(p) for p in matrices.parameters} if matrices else set[int]()
        rest = [p for p in self.parameters if id(p) not in by_muon]
        groups = [  # no decay on biases and norms, as released
            {"params": [p for p in rest if p.ndim >= 2], "weight_decay": weight_decay},
            {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
        ]
        self.optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, betas=(0.9, 0.98))]
        self.rates = (1.0,)
        if matrices:
            self.rates = (1.0, matrices.rate)
            self.optimizers.append(Muon(matrices.parameters, weight_decay, rank))

    def forget(self) -> None:
        """Drop all gradients."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def step(self, rate: float) -> None:
        """Move all parameters along gradients of a norm of at most 1."""
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer, share in zip(self.optimizers, self.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * share
            optimizer.step()

    def moments(self) -> dict[str, Tensor]:
        """What the optimizers remember, not copied, each tensor under a name of its own."""
        return {
            f"{n}.{index}.{name}": torch.as_tensor(value)
            for n, optimizer in enumerate(self.optimizers)
            for index, kept in optimizer.state_dict()["state"].items()
            for name, value in kept.items()
        }

    def remember(self, moments: Mapping[str, Tensor]) -> None:
        """Take `moments` back."""
        states: list[dict[int, dict[str, Any]]] = [{} for _ in self.optimizers]
        for key, tensor in moments.items():
            n, index, name = key.split(".", 2)
            states[int(n)].setdefault(int(index), {})[name] = tensor
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def matrices_of(network: nn.Module, rate: float) -> Matrices:
    """The weights between the states of a transformer: no vocabulary, adapter or table of places."""
    spared = ("lora", "embed_tokens", "lm_head", "relative_position_bias_table")
    weights = ((name, p) for name, p in network.named_parameters() if p.ndim == 2)
    return Matrices([p for name, p in weights if not any(s in name for s in spared)], rate)

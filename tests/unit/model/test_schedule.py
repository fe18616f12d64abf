"""Rates and decay against what is worked out by hand."""

from math import cos, pi

import pytest
import torch
from torch import nn

from model.training.decay import decay_groups
from model.training.schedule import Schedule

PUBLISHED = Schedule(500_000, peak=3e-4, start=1e-7, end=3e-6, warm_up=3_000)


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 1e-7),
        (1_500, (1e-7 + 3e-4) / 2),
        (3_000, 3e-4),
        (3_000 + 497_000 // 2, (3e-4 + 3e-6) / 2),  # halfway down a cosine
        (3_000 + 497_000 // 4, 3e-6 + 2.97e-4 * 0.5 * (1 + cos(pi / 4))),
        (500_000, 3e-6),
        (600_000, 3e-6),
    ],
)
def test_rate_is_the_published_one(step: int, rate: float) -> None:
    assert PUBLISHED.rate(step) == pytest.approx(rate, rel=1e-9)


def test_without_warm_up_the_first_step_is_the_fastest() -> None:
    rates = [Schedule(10, peak=1.0).rate(n) for n in range(10)]
    assert rates[0] == 1.0
    assert rates == sorted(rates, reverse=True)


def test_warm_up_longer_than_the_run_only_rises() -> None:
    assert [Schedule(2, peak=1.0, warm_up=4).rate(n) for n in range(3)] == [0.0, 0.25, 0.5]


def test_biases_and_norms_do_not_decay() -> None:
    layers = nn.ModuleDict(
        {"linear": nn.Linear(2, 3), "norm": nn.LayerNorm(3), "ln": nn.Linear(1, 1, bias=False)}
    )
    decaying, spared = decay_groups(layers.named_parameters(), 0.05)
    assert (decaying["weight_decay"], spared["weight_decay"]) == (0.05, 0.0)
    assert [p.shape for p in decaying["params"]] == [(3, 2)]
    # "ln" in a name spares a matrix too: the released rule
    assert sum(p.numel() for p in spared["params"]) == 3 + 3 + 3 + 1


def test_group_without_members_is_left_out() -> None:
    (only,) = decay_groups([("weight", nn.Parameter(torch.zeros(2, 2)))], 0.1)
    assert only["weight_decay"] == 0.1

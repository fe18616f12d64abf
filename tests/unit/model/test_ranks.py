"""Processes that train together make what one process makes."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from model.training.ranks import Rank, gathered
from model.training.stages import Stage, run_stage


def _train(rank: Rank, folder: Path) -> nn.Linear:
    torch.manual_seed(0)
    module = nn.Linear(3, 1)

    def step(n: int) -> dict[str, Tensor]:
        batch = torch.randn(8, 3, generator=torch.Generator().manual_seed(n))
        mine = torch.stack(list(rank.part(list(batch))))
        return {"square": (module(mine) - mine.sum(1, keepdim=True)).square().mean()}

    run_stage(Stage("one", {"linear": module}, 6, peak_rate=0.05), step, folder, rank=rank)
    return module


def test_two_processes_learn_what_one_learns_from_the_same_batches(tmp_path: Path) -> None:
    for name in ("alone", "together"):
        (tmp_path / name).mkdir()
    alone = _train(Rank(), tmp_path / "alone")
    with gathered(2, partial(_follow, folder=tmp_path / "together")) as rank:
        together = _train(rank, tmp_path / "together")
    torch.testing.assert_close(together.weight, alone.weight, atol=1e-5, rtol=0)


def _follow(rank: Rank, folder: Path) -> None:
    _train(rank, folder)


def test_parts_make_the_whole() -> None:
    parts = [Rank(n, 3).part(list(range(8))) for n in range(3)]
    assert sorted(i for part in parts for i in part) == list(range(8))


def test_random_numbers_differ_between_processes_and_steps() -> None:
    drawn = {
        int(torch.randint(2**40, (1,), generator=Rank(n, 2).generator(5, s))) for n in (0, 1) for s in (0, 1)
    }
    assert len(drawn) == 4


def test_one_process_averages_nothing() -> None:
    module = nn.Linear(1, 1)
    Rank().average(module.parameters())
    assert module.weight.grad is None


def test_lost_process_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), gathered(2, _lost) as rank:
        rank.meet()


def _lost(rank: Rank) -> None:
    raise SystemExit(3)

"""Muon against PyTorch's own, and in two processes against one."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from model.training.muon import Muon, orthogonal
from model.training.ranks import ALONE, Rank, gathered

SHAPES = ((12, 12), (8, 24), (24, 8), (5, 7), (16, 3))


def _matrices() -> list[nn.Parameter]:
    rng = torch.Generator().manual_seed(1)
    return [nn.Parameter(torch.randn(shape, generator=rng)) for shape in SHAPES]


def _moved(matrices: list[nn.Parameter], optimizer: torch.optim.Optimizer, steps: int = 4) -> None:
    rng = torch.Generator().manual_seed(2)
    for _ in range(steps):
        for matrix in matrices:
            matrix.grad = torch.randn(matrix.shape, generator=rng)
        for group in optimizer.param_groups:
            group["lr"] = 0.05
        optimizer.step()


def test_matrices_move_as_by_pytorchs_own() -> None:
    """Theirs multiplies in bfloat16, which is known to 1 in 256."""
    ours, theirs, before = _matrices(), _matrices(), _matrices()
    _moved(ours, Muon(ours, weight_decay=0.1))
    published = torch.optim.Muon(theirs, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    _moved(theirs, published)
    for our, their, old in zip(ours, theirs, before, strict=True):
        assert (our - their).norm() < 0.03 * (their - old).norm()


def test_singular_values_come_near_one_and_vectors_stay() -> None:
    rng = torch.Generator().manual_seed(3)
    u, _ = torch.linalg.qr(torch.randn(20, 6, generator=rng))
    v, _ = torch.linalg.qr(torch.randn(6, 6, generator=rng))
    values = torch.tensor([9.0, 3.0, 1.0, 0.6, 0.3, 0.2])
    found = u.T @ orthogonal(u * values @ v.T) @ v
    assert torch.all((found.diag() > 0.6) & (found.diag() < 1.3))
    assert (found - found.diag().diag()).abs().max() < 0.02
    assert not orthogonal(torch.zeros(3, 4)).any()


def test_a_matrix_without_a_gradient_stays() -> None:
    matrices = _matrices()[:2]
    before = matrices[1].detach().clone()
    matrices[0].grad = torch.ones(SHAPES[0])
    Muon(matrices, weight_decay=0.1).step()
    assert torch.equal(matrices[1], before)


def _learn(rank: Rank, write: Callable[[Rank, list[nn.Parameter]], None]) -> None:
    matrices = _matrices()
    _moved(matrices, Muon(matrices, 0.1, rank))
    write(rank, matrices)


def _write(rank: Rank, matrices: list[nn.Parameter], folder: Path) -> None:
    save_file({str(n): m.detach() for n, m in enumerate(matrices)}, folder / f"{rank.number}.safetensors")


def test_two_processes_share_the_matrices_and_end_alike(tmp_path: Path) -> None:
    write = partial(_write, folder=tmp_path)
    with gathered(2, partial(_learn, write=write)) as rank:
        _learn(rank, write)
    both = [load_file(tmp_path / f"{n}.safetensors") for n in range(2)]
    alone = _matrices()
    _moved(alone, Muon(alone, 0.1, ALONE))
    for n, matrix in enumerate(alone):
        assert torch.equal(both[0][str(n)], both[1][str(n)])
        torch.testing.assert_close(both[0][str(n)], matrix.detach())

"""Checkpoints are whole or not there, and come back as they were, spread over devices or not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from model.errors import TrainingError
from model.training.runs.checkpoints import (
    Standing,
    learned,
    moments,
    newest,
    place_of,
    prune,
    restore,
    write_checkpoint,
)


def _layers(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def _trained(layers: nn.Module) -> torch.optim.AdamW:
    """Two steps, of which only the first layer has the second one's gradient."""
    optimizer = torch.optim.AdamW(layers.parameters(), lr=0.1)
    layers(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    first = next(layers.parameters())
    first.grad = torch.ones_like(first)
    optimizer.step()
    return optimizer


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _comes_back(one: nn.Module, other: nn.Module, folder: Path) -> None:
    optimizer = _trained(one)
    own = dict(one.named_parameters())
    standing = Standing(7, best_step=5, best_figure=0.25, waited=1)
    place = write_checkpoint(folder, standing, learned(own), moments(own, optimizer))
    back = dict(other.named_parameters())
    again = torch.optim.AdamW(other.parameters(), lr=0.1)
    assert restore(place, back, again) == standing
    for name, parameter in own.items():
        assert torch.equal(_whole(back[name]), _whole(parameter))
        kept, stored = optimizer.state[parameter], again.state[back[name]]
        assert kept.keys() == stored.keys()
        assert all(torch.equal(_whole(stored[key]), _whole(kept[key])) for key in kept)
    assert {type(p) for p in back.values()} == {type(p) for p in other.parameters()}


def test_parameters_and_moments_come_back(tmp_path: Path) -> None:
    _comes_back(_layers(0), _layers(1), tmp_path)


@pytest.fixture
def alone() -> Iterator[None]:
    """A process group of this process alone."""
    dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("alone")
def test_spread_parameters_come_back_and_are_stored_whole(tmp_path: Path) -> None:
    mesh = init_device_mesh("cpu", (1,))
    one, other = _layers(0), _layers(1)
    for layers in (one, other):
        fully_shard(layers, mesh=mesh)
        assert all(isinstance(p, DTensor) for p in layers.parameters())
    _comes_back(one, other, tmp_path)
    plain = _layers(2)
    restore(place_of(tmp_path, 7), dict(plain.named_parameters()), torch.optim.AdamW(plain.parameters()))
    expected = dict(one.named_parameters())
    for name, parameter in plain.named_parameters():
        assert torch.equal(parameter, _whole(expected[name]))


def test_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    layers = _layers(0)
    own = dict(layers.named_parameters())
    place = write_checkpoint(tmp_path, Standing(1), learned(own), moments(own, _trained(layers)))
    del own["2.bias"]
    with pytest.raises(TrainingError, match="another network: 1 differ"):
        restore(place, own, torch.optim.AdamW(layers.parameters()))


def test_half_a_checkpoint_is_none(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    whole = write_checkpoint(tmp_path, Standing(3), {"a": torch.zeros(1)}, {})
    half = tmp_path / "step-00000009.part"
    half.mkdir()
    assert newest(tmp_path) == whole
    prune(tmp_path, 2, None)
    assert list(tmp_path.iterdir()) == [whole]


def test_newest_and_best_are_kept(tmp_path: Path) -> None:
    for step in (10, 20, 30, 40, 100):
        write_checkpoint(tmp_path, Standing(step), {"a": torch.zeros(1)}, {})
    prune(tmp_path, 2, 20)
    assert sorted(p.name for p in tmp_path.iterdir()) == [place_of(tmp_path, n).name for n in (20, 40, 100)]
    assert newest(tmp_path) == place_of(tmp_path, 100)


def test_written_checkpoint_is_not_written_again(tmp_path: Path) -> None:
    first = write_checkpoint(tmp_path, Standing(3), {"a": torch.zeros(1)}, {})
    before = (first / "trained.safetensors").read_bytes()
    assert write_checkpoint(tmp_path, Standing(3), {"a": torch.ones(1)}, {}) == first
    assert (first / "trained.safetensors").read_bytes() == before

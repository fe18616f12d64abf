"""Keeps what a run has learned and where it stands, so that it goes on to the same weights bit for bit.

checkpoints/step-00000500/
    trained.safetensors     what learns, by its name in the network
    optimizer.safetensors   moments of AdamW, by the same names
    state.json              step, best step so far, validations without a better one

Frozen tensors are those of the weights that the run started from. There are no random states to keep: all
that is drawn follows from seed and step. A checkpoint appears under its name only when it is whole on the
disk.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from model.errors import TrainingError

TRAINED, MOMENTS, STATE = "trained.safetensors", "optimizer.safetensors", "state.json"
_PART = ".part"

Tensors = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run stands."""

    step: int = 0
    """Steps that are done."""
    best_step: int | None = None
    best_figure: float | None = None
    waited: int = 0
    """Validations since the best one."""


def learned(parameters: Mapping[str, nn.Parameter]) -> Tensors:
    """Collect what has been learned, whole and on the CPU; every process must call it."""
    return {name: _whole(parameter.detach()) for name, parameter in parameters.items()}


def moments(parameters: Mapping[str, nn.Parameter], optimizer: Optimizer) -> Tensors:
    """Collect an optimizer's state as `<parameter>/<moment>`; every process must call it."""
    return {
        f"{name}/{key}": _whole(value)
        for name, parameter in parameters.items()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def write_checkpoint(folder: Path, standing: Standing, trained: Tensors, optimizer: Tensors) -> Path:
    """Write one checkpoint; an older one of the same step stays as it is."""
    place = place_of(folder, standing.step)
    if place.exists():
        return place
    part = place.with_name(place.name + _PART)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    save_file(trained, part / TRAINED)
    save_file(optimizer, part / MOMENTS)
    (part / STATE).write_text(json.dumps(asdict(standing)) + "\n", encoding="utf-8")
    for path in (*part.iterdir(), part):
        _to_disk(path)
    part.rename(place)
    _to_disk(folder)
    return place


def restore(place: Path, parameters: Mapping[str, nn.Parameter], optimizer: Optimizer) -> Standing:
    """Put a checkpoint back into parameters and optimizer.

    Raises:
        TrainingError: the checkpoint is not of these parameters.
    """
    trained = load_file(place / TRAINED)
    if differing := sorted(trained.keys() ^ parameters.keys()):
        raise TrainingError(
            f"{place.name} is of another network: {len(differing)} differ, {differing[0]} first"
        )
    kept: dict[str, dict[str, Tensor]] = {}
    for name, value in load_file(place / MOMENTS).items():
        parameter, _, moment = name.rpartition("/")
        kept.setdefault(parameter, {})[moment] = value
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(_like(trained[name], parameter))
            if name in kept:
                optimizer.state[parameter] = {key: _like(v, parameter) for key, v in kept[name].items()}
    return standing_of(place)


def standing_of(place: Path) -> Standing:
    said: dict[str, Any] = json.loads((place / STATE).read_text(encoding="utf-8"))
    return Standing(**said)


def place_of(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}"


def newest(folder: Path) -> Path | None:
    """Find the checkpoint with the most steps."""
    return max(_all(folder), default=None)


def prune(folder: Path, last: int, best_step: int | None) -> None:
    """Delete all but the newest checkpoints, the best one, and halves that an interruption left."""
    places = sorted(_all(folder))
    kept = {*places[-last:], *({place_of(folder, best_step)} if best_step is not None else ())}
    for place in (*(p for p in places if p not in kept), *folder.glob(f"*{_PART}")):
        shutil.rmtree(place)


def _all(folder: Path) -> list[Path]:
    return [place for place in folder.glob("step-*") if not place.name.endswith(_PART)]


def _whole(tensor: Tensor) -> Tensor:
    """A copy of its own on the CPU; of a tensor that is spread over devices, all of it."""
    gathered = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return gathered.detach().cpu().clone().contiguous()


def _like(value: Tensor, parameter: nn.Parameter) -> Tensor:
    """Put a value where a parameter is, spread as it is; AdamW counts its steps on the CPU."""
    if value.ndim == 0 and parameter.ndim:
        return value
    if isinstance(parameter, DTensor):
        return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
    return value.to(parameter.device)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

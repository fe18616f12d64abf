"""Keeps what a stage of training has learned, and where it stopped, as safetensors and JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model.training.descent import Descent


def save_stage(path: Path, modules: Mapping[str, nn.Module], notes: Mapping[str, Any]) -> None:
    """Write the tensors of named modules and notes such as steps and losses; replaces the file at once."""
    tensors = {
        f"{name}.{key}": tensor.detach().clone(memory_format=torch.contiguous_format)
        for name, module in modules.items()
        for key, tensor in module.state_dict().items()
    }
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"notes": json.dumps(dict(notes))})
    part.replace(path)


def load_stage(path: Path, modules: Mapping[str, nn.Module]) -> None:
    """Fill named modules from a stage's file; every tensor must be there."""
    stored = load_file(path)
    for name, module in modules.items():
        own = {key.removeprefix(f"{name}."): t for key, t in stored.items() if key.startswith(f"{name}.")}
        module.load_state_dict(own)


def save_progress(path: Path, modules: Mapping[str, nn.Module], descent: Descent, step: int) -> None:
    """Write what is needed to go on with a stage after an interruption, the optimizers' moments included."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"module.{name}.{k}": t.detach() for k, t in module.state_dict().items()}
    tensors |= {f"moment.{name}": moment for name, moment in descent.moments().items()}
    tensors = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"step": str(step)})
    part.replace(path)


def load_progress(path: Path, modules: Mapping[str, nn.Module], descent: Descent) -> int:
    """Go back to where `save_progress` was called; return the step."""
    from safetensors import safe_open

    stored = load_file(path)
    for name, module in modules.items():
        start = f"module.{name}."
        module.load_state_dict({k.removeprefix(start): t for k, t in stored.items() if k.startswith(start)})
    start = "moment."
    descent.remember({k.removeprefix(start): t for k, t in stored.items() if k.startswith(start)})
    with safe_open(path, "pt") as file:
        return int(file.metadata()["step"])

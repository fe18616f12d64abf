"""Says how a run was made: source, data, libraries, machine."""

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from model.training.runs.sources import Source
from model.training.source_revision import source_revision
from model.weights import WeightsConfig

LIBRARIES = (
    "accelerate",
    "monai",
    "numpy",
    "peft",
    "pillow",
    "pydantic",
    "safetensors",
    "scipy",
    "tensorboard",
    "tokenizers",
    "torch",
    "transformers",
)


def origin(start: WeightsConfig, sources: Sequence[Source]) -> dict[str, Any]:
    """Describe what a run is made of; the same each time that it is resumed."""
    return {
        "started_from": {
            "name": start.name,
            "version": start.version,
            "weights_sha256": start.weights_sha256,
            "demo_weights": start.demo_weights,
        },
        "data": [source.described() for source in sources],
    }


def session(accelerator: Accelerator, first_step: int) -> dict[str, Any]:
    """Describe one start of the command: when, by which source and libraries, on what."""
    return {
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "first_step": first_step,
        "command": " ".join(Path(word).name if n == 0 else word for n, word in enumerate(sys.argv)),
        "source_revision": source_revision(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "device": _device(accelerator.device),
        "devices": accelerator.num_processes,
        "spread": accelerator.distributed_type.value,
    }


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type

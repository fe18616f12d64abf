"""One device or many with the same command: accelerate reads what a launcher set in the environment."""

import math
from collections.abc import Generator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, DistributedType
from torch.distributed import DistError

from model.errors import LostWorkerError, TrainingError

_LOST = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "timed out")
"""Words of an error that a transport raises when another process does not answer."""


def begin(device: str) -> Accelerator:
    """Join the other processes of the run, if a launcher started several.

    Raises:
        TrainingError: accelerate is configured for a way to spread a network that runs cannot resume from.
    """
    # Each batch uses the layers of its task only; a step leaves those of others without a gradient.
    spread = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(cpu=device == "cpu", kwargs_handlers=[spread])
    kind = accelerator.distributed_type
    if kind is DistributedType.FSDP and not accelerator.is_fsdp2:
        raise TrainingError("set fsdp_version to 2 in accelerate's configuration")
    if kind in (DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM):
        raise TrainingError(f"{kind.value} is not supported; use accelerate's FSDP, version 2")
    return accelerator


@contextmanager
def answered_by_all(accelerator: Accelerator, step: int) -> Generator[None]:
    """Name a process that does not answer as what it is.

    Raises:
        LostWorkerError: in place of the transport's own error.
    """
    try:
        yield
    except RuntimeError as exc:
        lost = isinstance(exc, DistError) or any(word in str(exc) for word in _LOST)
        if accelerator.num_processes == 1 or not lost:
            raise
        raise LostWorkerError(
            f"another process of the run was lost in step {step}; what the last checkpoint holds is kept: "
            "start all processes again with --resume"
        ) from exc


def seed_all(*numbers: int) -> None:
    """Seed what layers draw (dropout, paths) from numbers that do not depend on the device."""
    mixed = 0
    for number in numbers:
        mixed = (mixed * 1_000_003 + number + 1) % (2**63 - 25)
    torch.manual_seed(mixed)


def checked_norm(norm: torch.Tensor, step: int) -> float:
    """Refuse a step that would spoil what was learned.

    Raises:
        TrainingError: the gradient is not finite.
    """
    length = float(norm)
    if not math.isfinite(length):
        raise TrainingError(
            f"the gradient of step {step} is not finite; the last checkpoint is whole: "
            "resume with a lower rate, or without autocast"
        )
    return length

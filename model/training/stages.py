"""One way to run a stage of training: a step function, a schedule, and checkpoints on the way."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path

import torch
from torch import Tensor, nn

from model.training.checkpoints import load_progress, load_stage, save_progress, save_stage
from model.training.descent import Descent, Matrices
from model.training.ranks import ALONE, Rank

logger = logging.getLogger(__name__)

Losses = Mapping[str, Tensor]
Progress = Callable[[str, int, int, Mapping[str, float]], None]
"""Told the stage, steps done, steps in all, and smoothed losses."""


def silent(stage: str, done: int, steps: int, losses: Mapping[str, float]) -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What one stage trains and for how long."""

    name: str
    modules: Mapping[str, nn.Module]
    """Trained and kept."""
    steps: int
    peak_rate: float
    weight_decay: float = 0.01
    matrices: Matrices | None = None
    """Those of the parameters that learn by Muon, not by AdamW."""
    keep_every: int = 200
    """Steps between checkpoints."""


def run_stage(
    stage: Stage,
    step: Callable[[int], Losses],
    folder: Path,
    progress: Progress = silent,
    rank: Rank = ALONE,
) -> None:
    """Train to the end, from the last checkpoint if there is one; a finished stage is only loaded."""
    done_file = folder / f"{stage.name}.safetensors"
    if done_file.exists():
        load_stage(done_file, stage.modules)
        return
    descent = Descent(stage.modules, stage.weight_decay, stage.matrices, rank)
    progress_file = folder / f"{stage.name}.progress.safetensors"
    start = load_progress(progress_file, stage.modules, descent) if progress_file.exists() else 0
    smooth: dict[str, float] = {}
    began, worked = time.monotonic(), time.process_time()
    for n in range(start, stage.steps):
        losses = step(n)
        descent.forget()
        torch.stack([loss.float() for loss in losses.values()]).sum().backward()
        rank.average(descent.parameters)
        descent.step(rate_at(n, stage.steps, stage.peak_rate))
        for name, value in losses.items():
            now = float(value.detach())
            smooth[name] = 0.97 * smooth.get(name, now) + 0.03 * now
        progress(stage.name, n + 1, stage.steps, smooth)
        if (n + 1) % stage.keep_every == 0 and rank.leads:
            save_progress(progress_file, stage.modules, descent, n + 1)
    spent = {
        "steps": stage.steps,
        "seconds": round(time.monotonic() - began),
        "cpu_seconds": round((time.process_time() - worked) * rank.of),
    }
    if rank.leads:
        save_stage(done_file, stage.modules, {**spent, "losses": smooth})
    rank.meet()
    logger.info("stage trained", extra={"stage": stage.name, **spent})


def rate_at(step: int, steps: int, peak: float) -> float:
    """Warm up linearly over a twentieth of the steps, then fall along a cosine to a hundredth of the peak."""
    warm = max(steps // 20, 1)
    if step < warm:
        return peak * (step + 1) / warm
    fallen = 0.5 * (1 + cos(pi * (step - warm) / max(steps - warm, 1)))
    return peak * (0.01 + 0.99 * fallen)

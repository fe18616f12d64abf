"""Runs a plan: steps, validations and checkpoints, until all steps are done or nothing becomes better."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from model.errors import TrainingError
from model.training.runs.checkpoints import (
    Standing,
    learned,
    moments,
    prune,
    write_checkpoint,
)
from model.training.runs.devices import answered_by_all, checked_norm, seed_all
from model.training.runs.journal import Journal
from model.training.runs.learner import Learner
from model.training.runs.microbatch import TERMS, MicroBatch
from model.training.runs.parts import recompute, wake
from model.training.runs.plan import RunPlan
from model.training.runs.steps import Examination, Steps
from model.training.runs.validation import examine, judged

logger = logging.getLogger(__name__)

ENTRY_EVERY = 10
"""Steps between entries into the journal."""


@dataclass(frozen=True, slots=True, eq=False)
class Trainee:
    """All that a run works with on one device."""

    plan: RunPlan
    accelerator: Accelerator
    learner: Learner
    spread: nn.Module
    """The learner as it is called, wrapped for several devices if there are."""
    parameters: Mapping[str, nn.Parameter]
    """What learns, by name in the network."""
    optimizer: Optimizer


def run_steps(
    trainee: Trainee,
    steps: Steps,
    examination: Examination,
    journal: Journal,
    *,
    checkpoints: Path,
    standing: Standing,
) -> Standing:
    """Train on from a standing and return the last one, whose checkpoint is written.

    Raises:
        LostWorkerError: another process of the run is gone.
        TrainingError: a gradient is not finite, or validation lacks the figure to choose by.
    """
    plan, accelerator = trainee.plan, trainee.accelerator
    learn(trainee)
    for step, batches in _loaded(plan, steps, standing.step):
        with answered_by_all(accelerator, step):
            figures = take_step(trainee, step, batches)
            standing = replace(standing, step=step + 1)
            journal.advance(standing.step)
            if standing.step % ENTRY_EVERY == 0 or standing.step == plan.steps:
                journal.enter(standing.step, figures)
            standing = _validated(trainee, examination, journal, standing)
            ends = standing.step == plan.steps or is_tired(plan, standing)
            if ends or standing.step % plan.keep.every == 0 or standing.best_step == standing.step:
                _keep(trainee, checkpoints, standing)
        if ends:
            break
    return standing


def take_step(trainee: Trainee, step: int, batches: Sequence[MicroBatch]) -> dict[str, float]:
    """Descend once along the mean loss of all micro-batches of a step, those of other devices included."""
    plan, accelerator, optimizer = trainee.plan, trainee.accelerator, trainee.optimizer
    counts = _summed(accelerator, torch.stack([batch.counts for batch in batches]).sum(0))
    taught = {term: float(n) for term, n in zip(TERMS, counts.tolist(), strict=True) if n}
    wanted, sums = frozenset(taught), torch.zeros(len(TERMS), device=accelerator.device)
    for batch in batches:
        with _gathering(trainee, last=batch is batches[-1]):
            seed_all(plan.seed, step, batch.number)
            totals = trainee.spread(batch.to(accelerator.device), wanted)
            terms = {term: totals[term] / taught[term] for term in taught}
            # Where only boxes learn and a step has none, there is nothing to go back for.
            if any(term.requires_grad for term in terms.values()):
                total = torch.stack([term.float() for term in terms.values()]).sum()
                accelerator.backward(total * accelerator.num_processes)
        for term, value in terms.items():
            sums[TERMS.index(term)] += value.detach()
    rate = plan.schedule.rate(step)
    for group in optimizer.param_groups:
        group["lr"] = rate
    norm = nn.utils.clip_grad_norm_(trainee.parameters.values(), plan.descent.clip or float("inf"))
    length = checked_norm(norm.full_tensor() if isinstance(norm, DTensor) else norm, step)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    losses = dict(zip(TERMS, _summed(accelerator, sums).tolist(), strict=True))
    modality, task = batches[0].kind
    told = {f"loss/{term}": losses[term] for term in taught}
    return told | {f"train/{modality} {task}": sum(told.values()), "rate": rate, "gradient": length}


def is_tired(plan: RunPlan, standing: Standing) -> bool:
    """Whether validations have not become better for as long as the plan waits."""
    return plan.keep.patience is not None and standing.waited >= plan.keep.patience


def _loaded(plan: RunPlan, steps: Steps, first: int) -> Iterator[tuple[int, list[MicroBatch]]]:
    """Prepare steps in order, ahead in other processes where the plan says so."""
    numbers = range(first, plan.steps)
    loader = DataLoader(
        steps,  # pyright: ignore[reportArgumentType]  # a map of step numbers, which is all that is asked of it
        batch_size=None,
        sampler=numbers,
        num_workers=plan.loaders,
        collate_fn=_as_they_are,
    )
    return zip(numbers, loader, strict=True)


def _as_they_are(batches: list[MicroBatch]) -> list[MicroBatch]:
    return batches


def _gathering(trainee: Trainee, *, last: bool) -> AbstractContextManager[None]:
    """Let devices add up their gradients once a step, with its last micro-batch."""
    if last:
        return nullcontext()
    return trainee.accelerator.no_sync(trainee.spread)


def _summed(accelerator: Accelerator, own: Tensor) -> Tensor:
    """Add up a tensor over all devices."""
    summed = accelerator.reduce(own.to(accelerator.device), "sum")
    if not isinstance(summed, Tensor):
        raise TypeError(type(summed).__name__)
    return summed


def learn(trainee: Trainee) -> None:
    """Wake what learns."""
    trainee.learner.training = True
    wake(trainee.learner.network, trainee.plan.train)
    if trainee.plan.recompute:
        recompute(trainee.learner.network)


def _validated(trainee: Trainee, examination: Examination, journal: Journal, standing: Standing) -> Standing:
    """Examine, where it is time to."""
    plan = trainee.plan
    due = standing.step % plan.keep.validate_every == 0 or standing.step == plan.steps
    if not due or not len(examination):
        return standing
    trainee.learner.eval()
    figures = examine(trainee.accelerator, trainee.spread, examination)
    learn(trainee)
    journal.enter(standing.step, {f"validation/{name}": value for name, value in figures.items()})
    if plan.keep.best_by not in figures:
        raise TrainingError(
            f"validation has no {plan.keep.best_by} to choose by; it has {', '.join(figures)}"
        )
    return judged(standing, figures[plan.keep.best_by], plan.keep.best_by)


def _keep(trainee: Trainee, checkpoints: Path, standing: Standing) -> None:
    """Write a checkpoint on the first device, with what all of them hold."""
    trained = learned(trainee.parameters)
    optimizer = moments(trainee.parameters, trainee.optimizer)
    if trainee.accelerator.is_main_process:
        write_checkpoint(checkpoints, standing, trained, optimizer)
        prune(checkpoints, trainee.plan.keep.last, standing.best_step)
        logger.info("checkpoint written", extra={"step": standing.step})
    trainee.accelerator.wait_for_everyone()

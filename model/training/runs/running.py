"""One run from its plan to its weights; run again to go on after an interruption."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.console import Console
from torch import nn

from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.tokenizer import MedVersaTokenizer
from model.training.decay import decay_groups
from model.training.losses import RECIPES
from model.training.runs.batch_maker import BatchMaker
from model.training.runs.checkpoints import Standing, newest, restore
from model.training.runs.devices import answered_by_all, begin
from model.training.runs.journal import Journal, RunJournal, Silent
from model.training.runs.learner import Learner, Manner
from model.training.runs.opening import open_to_learn
from model.training.runs.parts import choose
from model.training.runs.phantom_source import PhantomSource
from model.training.runs.plan import Phantoms, RunPlan
from model.training.runs.provenance import origin, session
from model.training.runs.record_source import RecordSource
from model.training.runs.run_folder import CASES, CHECKPOINTS, WEIGHTS, claim, describe
from model.training.runs.sources import Library, Source
from model.training.runs.steps import examination_of, steps_of
from model.training.runs.trainer import Trainee, is_tired, run_steps
from model.training.runs.writing import write_weights
from model.vocabulary import VOCABULARIES, Vocabulary


def run(plan: RunPlan, folder: Path, *, resume: bool = False, console: Console | None = None) -> Path:
    """Train by a plan in a folder, from its newest checkpoint if there is one, and write `weights`.

    Every process of a run over several devices calls this.

    Raises:
        TrainingError: the folder holds another run, the plan cannot be run on its data, or a gradient is not
            finite.
        LostWorkerError: another process of the run is gone.
        WeightsError: the weights to start from cannot be used.
        DatasetError: prepared data are not whole.
    """
    accelerator = begin(plan.device)
    claim(folder, plan, resume=resume)
    network, tokenizer, start = open_to_learn(plan)
    vocabulary = VOCABULARIES["demo" if start.demo_weights and plan.only_phantoms else "released"]
    library = Library(tuple(_sources(plan, folder, accelerator, vocabulary)))
    trainee = assemble(plan, accelerator, network, tokenizer)
    maker = maker_of(plan, network, tokenizer)
    steps = steps_of(plan, library, maker, accelerator.process_index, accelerator.num_processes)
    examination = examination_of(plan, library, maker.still, steps.kinds)
    checkpoints, made = folder / CHECKPOINTS, origin(start, library.sources)
    place = newest(checkpoints)
    standing = restore(place, trainee.parameters, trainee.optimizer) if place else Standing()
    if accelerator.is_main_process:
        made = describe(folder, plan, made, session(accelerator, standing.step))
    with _journal(accelerator, folder, standing.step, plan.steps, console) as journal:
        if standing.step < plan.steps and not is_tired(plan, standing):
            standing = run_steps(
                trainee, steps, examination, journal, checkpoints=checkpoints, standing=standing
            )
    if accelerator.is_main_process:
        write_weights(plan, checkpoints, standing, made, folder / WEIGHTS)
    with answered_by_all(accelerator, standing.step):
        accelerator.wait_for_everyone()
    return folder / WEIGHTS


def assemble(
    plan: RunPlan, accelerator: Accelerator, network: MedVersaNetwork, tokenizer: MedVersaTokenizer
) -> Trainee:
    """Choose what learns, put it on its device, and give it an optimizer."""
    choose(network, plan.train)
    if plan.compile:
        for layer in network.llama.model.layers:
            layer.compile()
    learner = Learner(network, tokenizer, Manner(RECIPES[plan.recipe], plan.autocast, plan.recompute))
    learner.to(accelerator.device)
    optimizer = torch.optim.AdamW(
        decay_groups(_learning(network).items(), plan.descent.weight_decay),
        lr=plan.descent.peak_rate,
        betas=plan.descent.betas,
    )
    spread, prepared = accelerator.prepare(learner, optimizer)
    return Trainee(plan, accelerator, learner, spread, _learning(network), prepared.optimizer)


def maker_of(plan: RunPlan, network: MedVersaNetwork, tokenizer: MedVersaTokenizer) -> BatchMaker:
    """Make what prepares a plan's batches for a network."""
    batch = plan.batch
    return BatchMaker(tokenizer, network.sizes, batch.per_case, batch.answer_tokens, plan.augmentation)


def _learning(network: MedVersaNetwork) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}


def _sources(
    plan: RunPlan, folder: Path, accelerator: Accelerator, vocabulary: Vocabulary
) -> Iterator[Source]:
    """Open every source; phantoms are drawn by the first process of each machine."""
    for section in plan.data:
        if isinstance(section, Phantoms):
            source = PhantomSource.planned(section, folder / CASES, plan.seed)
            with accelerator.local_main_process_first():
                source.draw(max(plan.loaders, 1))
            yield source
        else:
            yield RecordSource.opened(section, vocabulary)


@contextmanager
def _journal(
    accelerator: Accelerator, folder: Path, step: int, steps: int, console: Console | None
) -> Generator[Journal]:
    if not accelerator.is_main_process:
        yield Silent()
        return
    with RunJournal(folder, step, steps, console) as journal:
        yield journal

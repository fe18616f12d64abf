"""A run put together in this process, and its batches by modality and task."""

from collections.abc import Callable
from pathlib import Path

from accelerate import Accelerator

from model.training.runs.microbatch import MicroBatch
from model.training.runs.opening import open_to_learn
from model.training.runs.phantom_source import PhantomSource
from model.training.runs.plan import Phantoms, RunPlan
from model.training.runs.running import assemble, maker_of
from model.training.runs.sources import TRAIN, Library
from model.training.runs.steps import Steps
from model.training.runs.trainer import Trainee, learn
from model.training.sampling import Kind, TaskSampler

Draw = Callable[[Kind, int], list[MicroBatch]]


def library_of(plan: RunPlan) -> Library:
    (section,) = plan.data
    assert isinstance(section, Phantoms)
    return Library((PhantomSource.planned(section, Path(), plan.seed),))


def assembled(plan: RunPlan) -> tuple[Trainee, Draw]:
    """A trainee before its first step, and what draws the micro-batches of a kind."""
    network, tokenizer, _ = open_to_learn(plan)
    maker, library = maker_of(plan, network, tokenizer), library_of(plan)
    groups = library.groups(TRAIN)
    trainee = assemble(plan, Accelerator(cpu=True), network, tokenizer)
    learn(trainee)

    def draw(kind: Kind, step: int) -> list[MicroBatch]:
        sampler = TaskSampler.of_rows({kind: groups[kind]}, {}, plan.seed)
        return Steps(plan, library, sampler, maker, (kind,))[step]

    return trainee, draw

"""The micro-batches of each step, the same whoever prepares them and on however many devices."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, cycle

from model.errors import TrainingError
from model.training.runs.batch_maker import BatchMaker
from model.training.runs.microbatch import MicroBatch
from model.training.runs.parts import taught_by
from model.training.runs.plan import RunPlan
from model.training.runs.sources import TRAIN, VALIDATE, Library
from model.training.sampling import Kind, TaskSampler, kind_weights

_STEPS, _VALIDATION = 1, 2
"""Keep the chances of training and of validation apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Training steps by number, as one of several devices sees them."""

    plan: RunPlan
    pool: Library
    sampler: TaskSampler
    maker: BatchMaker
    kinds: Sequence[Kind]
    """What is drawn."""
    device: int = 0
    devices: int = 1

    def __getitem__(self, step: int) -> list[MicroBatch]:
        """Make this device's micro-batches of a step."""
        batch, chances = self.plan.batch, [self.plan.seed, _STEPS, step]
        kind, cases = self.sampler.draw_kind(step, batch.size // batch.per_case)
        count = batch.micro // batch.per_case
        made: list[MicroBatch] = []
        for number in range(self.device, len(cases) // count, self.devices):
            drawn = cases[number * count : (number + 1) * count]
            others = self.sampler.others(kind, [*chances, number])
            opened = (self.pool.case(TRAIN, case) for case in chain(drawn, others))
            made.append(self.maker.make(kind, number, opened, count=count, chances=chances))
        return made


def steps_of(plan: RunPlan, library: Library, maker: BatchMaker, device: int = 0, devices: int = 1) -> Steps:
    """Prepare to draw the steps of a plan, of what can teach any part that is to learn.

    Raises:
        TrainingError: nothing is to be drawn, or a step cannot be divided evenly among the devices.
    """
    micro_batches = plan.batch.size // plan.batch.micro
    if micro_batches % devices:
        raise TrainingError(
            f"a step of {micro_batches} micro-batches cannot be divided among {devices} devices; "
            "make batch.micro smaller or batch.size larger"
        )
    groups = {kind: rows for kind, rows in library.groups(TRAIN).items() if taught_by(kind) & plan.train}
    weights = kind_weights(groups, plan.modalities, plan.tasks)
    drawn = {kind: rows for kind, rows in groups.items() if weights[kind] > 0}
    if not drawn:
        raise TrainingError("the data have no task of a weight above 0 that teaches what is to learn")
    sampler = TaskSampler.of_rows(drawn, weights, plan.seed)
    return Steps(plan, library, sampler, maker, tuple(drawn), device, devices)


@dataclass(frozen=True, slots=True, eq=False)
class Examination:
    """The micro-batches of a validation: the same each time, not augmented."""

    plan: RunPlan
    pool: Library
    maker: BatchMaker
    drawn: Sequence[tuple[Kind, tuple[int, ...]]]
    """Kind and cases of each micro-batch."""

    def __len__(self) -> int:
        return len(self.drawn)

    def __getitem__(self, number: int) -> MicroBatch:
        kind, cases = self.drawn[number]
        opened = (self.pool.case(VALIDATE, case) for case in cycle(cases))
        chances = [self.plan.seed, _VALIDATION]
        return self.maker.make(kind, number, opened, count=len(cases), chances=chances)


def examination_of(plan: RunPlan, library: Library, maker: BatchMaker, kinds: Sequence[Kind]) -> Examination:
    """Draw `validation_batches` micro-batches of each kind that training draws and validation has."""
    groups = library.groups(VALIDATE)
    size = plan.batch.micro // plan.batch.per_case
    drawn: list[tuple[Kind, tuple[int, ...]]] = []
    for kind in kinds:
        rows = groups.get(kind)
        if rows is None or not len(rows):
            continue
        sampler = TaskSampler.of_rows({kind: rows}, {}, plan.seed)
        drawn += [(kind, tuple(sampler.draw(n, size))) for n in range(plan.keep.validation_batches)]
    return Examination(plan, library, maker, drawn)

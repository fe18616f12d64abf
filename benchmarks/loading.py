"""Loading against the training step that it feeds: `python -m benchmarks.loading`.

Phantoms are drawn into files of published sizes (`benchmarks.phantom_download`) and prepared as a dataset is.
For each kind of example: how many a second the loaders prepare (decode, frame, squeeze onto the grids, ask,
tokenise), how many the demonstration weights learn from, all parts learning, and what part of a step is spent
waiting when both run at once. `kept` are the same volumes after `train reduce`.

The last two columns are processor time of one example in one process, which other work on the machine changes
little: loading is no bottleneck where `workers` times the second is more than the first.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from accelerate import Accelerator
from torch.utils.data import DataLoader

from benchmarks.phantom_download import draw_download
from model.reading import Modality, Task
from model.training.datasets.reduced import reduce_volumes
from model.training.runs.batch_maker import BatchMaker
from model.training.runs.microbatch import MicroBatch
from model.training.runs.opening import open_to_learn
from model.training.runs.parts import PARTS
from model.training.runs.plan import Prepared, RunPlan
from model.training.runs.record_source import RecordSource
from model.training.runs.running import assemble, maker_of
from model.training.runs.sources import TRAIN
from model.training.runs.trainer import Trainee, learn, take_step
from model.training.sampling import Kind, TaskSampler
from model.vocabulary import DEMO

KINDS: Sequence[Kind] = (
    (Modality.CXR, Task.REPORT),
    (Modality.CXR, Task.CLASSIFICATION),
    (Modality.CXR, Task.ANATOMY_DETECTION),
    (Modality.CXR, Task.SEGMENTATION),
    (Modality.CXR, Task.COMPARISON),
    (Modality.CXR, Task.VQA),
    (Modality.CXR, Task.REGION_CAPTIONING),
    (Modality.DERM, Task.SEGMENTATION),
    (Modality.CT, Task.SEGMENTATION),
)


@dataclass(frozen=True, eq=False)
class Batches:
    """Micro-batches of one kind by number, as `Steps` makes them."""

    source: RecordSource
    maker: BatchMaker
    kind: Kind
    size: int

    def __getitem__(self, number: int) -> MicroBatch:
        rows = {self.kind: self.source.groups(TRAIN)[self.kind]}
        drawn = TaskSampler.of_rows(rows, {}, 0).draw(number, self.size)
        opened = (self.source.case(TRAIN, row) for row in drawn)
        return self.maker.make(self.kind, 0, opened, count=self.size, chances=[number])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--examples", type=int, default=8, help="of a step")
    parser.add_argument("--steps", type=int, default=6, help="measured, after one per worker to warm up")
    parser.add_argument("--cases", type=int, default=4, help="drawn of each modality")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dataset = draw_download(Path(folder), arguments.cases)
        kept = Path(folder) / "kept"
        plan = plan_of(dataset.folder, arguments.examples)
        network, tokenizer, _ = open_to_learn(plan)
        maker = maker_of(plan, network, tokenizer)
        reduce_volumes(dataset, kept, network.sizes.volume_grid)
        trainee = assemble(plan, Accelerator(cpu=True), network, tokenizer)
        learn(trainee)
        columns = ("loading", "step", "ratio", "waiting", "ms load", "ms step")
        print(f"{'examples/s':36}{''.join(f'{name:>9}' for name in columns)}")
        for kind in KINDS:
            row(trainee, Batches(opened(dataset.folder), maker, kind, arguments.examples), "", arguments)
        volumes = (Modality.CT, Task.SEGMENTATION)
        row(trainee, Batches(opened(kept), maker, volumes, arguments.examples), " kept", arguments)


def plan_of(folder: Path, examples: int) -> RunPlan:
    return RunPlan.model_validate(
        {
            "name": "measured",
            "start_from": "medversa-demo",
            "steps": 1000,
            "data": [{"prepared": folder}],
            "train": frozenset(PARTS) - {"unused"},
            "batch": {"size": examples, "micro": examples},
            "device": "cpu",
        }
    )


def opened(folder: Path) -> RecordSource:
    """Open a prepared folder, which is checked and read through once."""
    return RecordSource.opened(Prepared(prepared=folder), DEMO)


def row(trainee: Trainee, batches: Batches, note: str, arguments: argparse.Namespace) -> None:
    """Measure one kind alone, then both together."""
    warm, count, size = max(arguments.workers, 1), arguments.steps, batches.size

    def step(batch: MicroBatch) -> None:
        take_step(trainee, 0, [batch])

    loading = seconds_each(loaded(batches, arguments.workers, warm + count), warm, lambda _: None)
    stepping = seconds_each(iter([batches[0]] * (1 + count)), 1, step)
    waited = waiting(loaded(batches, arguments.workers, warm + count), warm, step)
    load_ms, step_ms = processor_ms(lambda: batches[0]), processor_ms(partial(step, batches[0]))
    figures = f"{size / loading:9.1f}{size / stepping:9.1f}{stepping / loading:9.1f}{waited:9.1%}"
    figures += f"{load_ms / size:9.0f}{step_ms / size:9.0f}"
    print(f"{f'{batches.kind[0]} {batches.kind[1]}{note}':36}{figures}", flush=True)


def loaded(batches: Batches, workers: int, count: int) -> Iterator[MicroBatch]:
    return iter(
        DataLoader(batches, batch_size=None, sampler=range(count), num_workers=workers, collate_fn=as_it_is)
    )


def as_it_is(batch: MicroBatch) -> MicroBatch:
    return batch


def seconds_each(items: Iterator[MicroBatch], warm: int, use: Callable[[MicroBatch], object]) -> float:
    """Mean seconds of getting and using an item, after the first ones."""
    for _ in range(warm):
        use(next(items))
    count, start = 0, time.perf_counter()
    for item in items:
        use(item)
        count += 1
    return (time.perf_counter() - start) / count


def waiting(items: Iterator[MicroBatch], warm: int, use: Callable[[MicroBatch], object]) -> float:
    """The share of the time that the step waits for its batch."""
    for _ in range(warm):
        use(next(items))
    waited, start = 0.0, time.perf_counter()
    while True:
        asked = time.perf_counter()
        batch = next(items, None)
        if batch is None:
            return waited / (time.perf_counter() - start)
        waited += time.perf_counter() - asked
        use(batch)


def processor_ms(work: Callable[[], object]) -> float:
    """Processor time of all threads for one piece of work, the second time that it is done."""
    work()
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1e3


if __name__ == "__main__":
    main()

"""A training step against the same step without its optimizations: `python -m benchmarks.training_step`.

For each group of tasks: examples per second and peak memory of forward, backward and AdamW over the same
questions, as runs compute it and with one optimization after the other left out. All parts of the network
learn.

- `pictures once`: each picture of a micro-batch is encoded once for all questions about it
- `answers only`: the vocabulary is scored where an answer is foretold, not at every position
- `bfloat16`: autocast
- `recompute`: activations are computed again on the way back: less memory, more time; off by default

Then the language model with LoRA: tokens per second, and model FLOP utilization, that is the share of what a
large matrix product reaches in the same run (or of `--peak-tflops`). For seven billion parameters:
`--preset released --device cuda --recompute --groups`.
"""

import argparse
import ctypes
import gc
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.sizes import PRESETS
from model.reading import Modality, Task
from model.training.losses import IGNORED, RECIPES
from model.training.runs.learner import Learner, Manner
from model.training.runs.microbatch import TERMS, MicroBatch
from model.training.runs.opening import open_to_learn
from model.training.runs.parts import PARTS, choose, recompute, wake
from model.training.runs.phantom_source import PhantomSource
from model.training.runs.plan import RunPlan
from model.training.runs.running import assemble, maker_of
from model.training.runs.sources import TRAIN, Library
from model.training.runs.trainer import Trainee, learn
from model.training.sampling import TASK_GROUPS, Kind, TaskSampler

EVERYTHING = frozenset(PARTS) - {"unused"}
PHANTOMS = {"chest": 4, "skin": 2, "abdomen": 2}
OPTIMIZATIONS = ("pictures once", "answers only", "bfloat16")
GROUPS = [*TASK_GROUPS, "segmentation 3D"]
MATRIX = 4096
"""Side of the matrices whose product says what the device can do."""


class ScoringAll(Learner):
    """A learner that scores the vocabulary at every position, as a language model does by itself."""

    def _language(self, states: Tensor, labels: Tensor) -> Tensor:
        scores = self.network.logits(states[:, :-1]).flatten(0, 1)
        return functional.cross_entropy(
            scores, labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="sum"
        )


@dataclass(frozen=True)
class Measured:
    """What one way of taking a step costs."""

    seconds: float
    peak_bytes: int
    """Beyond what is there before the step."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--preset", choices=PRESETS, default="demo", help="of the language model alone")
    parser.add_argument("--device", default="cpu", help="a torch device")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--examples", type=int, default=8, help="questions of a step, two about each case")
    parser.add_argument("--length", type=int, default=256, help="tokens of a row of the language model alone")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--recompute", action="store_true", help="of the language model alone")
    parser.add_argument("--peak-tflops", type=float, help="of the device, if not measured")
    parser.add_argument(
        "--groups", nargs="*", choices=GROUPS, default=GROUPS, help="none: leave the table out"
    )
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if arguments.groups:
        measure_groups(device, arguments.groups, arguments.examples, arguments.repeats)
    measure_language(arguments, device)


def measure_groups(device: torch.device, groups: list[str], examples: int, repeats: int) -> None:
    """Print a table of the demonstration weights on phantoms."""
    with tempfile.TemporaryDirectory() as folder:
        plan = RunPlan.model_validate(
            {
                "name": "measured",
                "start_from": "medversa-demo",
                "steps": 1,
                "data": [{"phantoms": PHANTOMS, "validation": 0}],
                "train": EVERYTHING,
                "batch": {"size": examples, "micro": examples, "per_case": 2},
                "device": "cpu" if device.type == "cpu" else "auto",
            }
        )
        (section,) = plan.data
        source = PhantomSource.planned(section, Path(folder), 0)
        source.draw(1)
        print(f"{'group':15}{'examples/s':>12}{'MB':>8}   faster and smaller than without")
        for group, batch in batches(plan, Library((source,)), groups):
            row(plan, group, batch, repeats)


def batches(plan: RunPlan, library: Library, groups: list[str]) -> Iterator[tuple[str, MicroBatch]]:
    """One micro-batch of each group of tasks, of volumes too where masks are asked."""
    network, tokenizer, _ = open_to_learn(plan)
    maker, rows = maker_of(plan, network, tokenizer), library.groups(TRAIN)
    kinds: dict[str, Kind] = {group: (Modality.CXR, tasks[-1]) for group, tasks in TASK_GROUPS.items()}
    kinds["segmentation 3D"] = (Modality.CT, Task.SEGMENTATION)
    for group in groups:
        kind = kinds[group]
        count = plan.batch.micro // plan.batch.per_case
        numbers = TaskSampler.of_rows({kind: rows[kind]}, {}, 0).draw(0, count)
        opened = (library.case(TRAIN, n) for n in numbers)
        yield group, maker.make(kind, 0, opened, count=count, chances=[0])


def row(plan: RunPlan, group: str, batch: MicroBatch, repeats: int) -> None:
    """Measure one group and print how much each optimization brings: time and memory without it, relative."""
    whole = measured(plan, batch, (), repeats)
    told = []
    for left_out in (*((name,) for name in OPTIMIZATIONS), OPTIMIZATIONS):
        without = measured(plan, batch, left_out, repeats)
        name = left_out[0] if len(left_out) == 1 else "all three"
        told.append(
            f"{name} {without.seconds / whole.seconds:.2f}x {without.peak_bytes / whole.peak_bytes:.2f}x"
        )
    again = measured(plan.model_copy(update={"recompute": True}), batch, (), repeats)
    told.append(
        f"(recompute: {again.peak_bytes / whole.peak_bytes:.2f} of the memory, "
        f"{again.seconds / whole.seconds:.2f} of the time)"
    )
    speed = len(batch.ids) / whole.seconds
    print(f"{group:15}{speed:12.2f}{whole.peak_bytes / 1e6:8.0f}   {'; '.join(told)}", flush=True)


def measured(plan: RunPlan, batch: MicroBatch, left_out: tuple[str, ...], repeats: int) -> Measured:
    """Take steps with some optimizations left out."""
    network, tokenizer, _ = open_to_learn(plan)
    changed = plan.model_copy(update={"autocast": "bfloat16" not in left_out})
    trainee = assemble(changed, Accelerator(cpu=plan.device == "cpu"), network, tokenizer)
    learn(trainee)
    if "answers only" in left_out:
        trainee.learner.__class__ = ScoringAll
    if "pictures once" in left_out:
        batch = repeated(batch)
    own = batch.to(trainee.accelerator.device)
    return step_costs(trainee.accelerator.device, lambda: descend(trainee, own), repeats)


def descend(trainee: Trainee, batch: MicroBatch) -> None:
    """Forward, backward, AdamW."""
    wanted = frozenset(t for t, n in zip(TERMS, batch.counts.tolist(), strict=True) if n)
    torch.stack([value.float() for value in trainee.spread(batch, wanted).values()]).sum().backward()
    trainee.optimizer.step()
    trainee.optimizer.zero_grad(set_to_none=True)


def repeated(batch: MicroBatch) -> MicroBatch:
    """The same questions, each with pictures of its own."""
    images = len(batch.shown) // len(batch.ids)
    first = batch.shown[::images]
    places = {int(p): n * images for n, p in enumerate(first)}
    return replace(
        batch,
        pictures=batch.pictures[batch.shown],
        shown=torch.arange(len(batch.shown)),
        segmented=batch.segmented[batch.shown] if len(batch.segmented) else batch.segmented,
        masked=torch.tensor([places[int(p)] for p in batch.masked], dtype=torch.long),
    )


def measure_language(arguments: argparse.Namespace, device: torch.device) -> None:
    """Print tokens per second and utilization of a language model that learns by LoRA alone."""
    sizes = PRESETS[arguments.preset]
    batch = spoken(sizes.vocabulary, sizes.visual_tokens, arguments.rows, arguments.length)
    with torch.device(device):
        network = MedVersaNetwork(sizes)
    if arguments.preset != "demo":
        network.llama_model.to(torch.bfloat16)
    learner = prepared(network, arguments.recompute)
    own = batch.to(device)
    optimizer = torch.optim.AdamW(p for p in network.parameters() if p.requires_grad)

    def step() -> None:
        learner(own, frozenset({"language"}))["language"].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    costs = step_costs(device, step, arguments.repeats)
    flops = counted_flops(arguments.preset, batch)
    tokens = batch.ids.numel()
    reached = flops / costs.seconds
    peak = (arguments.peak_tflops or 0) * 1e12 or multiplied_per_second(device, arguments.repeats)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(
        f"{arguments.preset} with LoRA on {name}: {tokens / costs.seconds:,.0f} tokens/s, "
        f"peak {costs.peak_bytes / 1e9:.2f} GB beyond the weights, {reached / 1e12:.3f} TFLOP/s, "
        f"{reached / peak:.0%} of {peak / 1e12:.3f}"
    )


def counted_flops(preset: str, batch: MicroBatch) -> int:
    """Floating point operations of the language model in a step; what is computed again is not counted."""
    taught = int(batch.counts[0]) // len(batch.ids)
    with torch.device("meta"):
        network = MedVersaNetwork(PRESETS[preset])
        choose(network, {"lora"})
        embedded = torch.empty(*batch.ids.shape, network.sizes.hidden)
        rows, length = batch.ids.shape
        seen = torch.zeros(rows, 1, length, length)
        with FlopCounterMode(display=False) as counter:
            read = network.llama.model(inputs_embeds=embedded, attention_mask=seen, use_cache=False)
            states = read.last_hidden_state
            network.logits(states[:, -taught:]).sum().backward()
    return counter.get_total_flops()


def prepared(network: MedVersaNetwork, again: bool) -> Learner:
    """A learner of LoRA alone."""
    words = SimpleNamespace(image=network.sizes.vocabulary - 5, tags={})
    choose(network, {"lora"})
    wake(network, {"lora"})
    if again:
        recompute(network)
    return Learner(network, words, Manner(RECIPES["released"], autocast=True, recompute=again))


def spoken(vocabulary: int, visual: int, rows: int, length: int) -> MicroBatch:
    """Rows of random ids about one picture each, the last quarter of them taught."""
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary - 5, (rows, length), generator=draw)
    ids[:, 4 : 4 + visual] = vocabulary - 5
    labels = torch.full_like(ids, IGNORED)
    labels[:, -length // 4 :] = ids[:, -length // 4 :]
    nothing = torch.zeros(0)
    pictures = torch.zeros(rows, 3, 224, 224)
    kind = (Modality.CXR, Task.REPORT)
    shown = torch.arange(rows)
    return MicroBatch(
        kind, 0, ids, torch.ones_like(ids), labels, pictures, shown, nothing, nothing, nothing, nothing
    )


def step_costs(device: torch.device, step: Callable[[], None], repeats: int) -> Measured:
    """Take one step to warm up, then time others; the peak is that of one of them."""
    step()
    before = forget_peak(device)
    step()
    peak = peak_bytes(device) - before
    seconds: list[float] = []
    for _ in range(repeats):
        wait(device)
        start = time.perf_counter()
        step()
        wait(device)
        seconds.append(time.perf_counter() - start)
    return Measured(statistics.median(seconds), max(peak, 1))


def forget_peak(device: torch.device) -> int:
    """Start to look for a peak; return what is in use."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed would be used again, and no peak be seen
    Path("/proc/self/clear_refs").write_text("5")
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def peak_bytes(device: torch.device) -> int:
    """Most that was in use since."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    (line,) = (w for w in Path("/proc/self/status").read_text().splitlines() if w.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def multiplied_per_second(device: torch.device, repeats: int) -> float:
    """FLOP/s of the product of two large matrices in bfloat16."""
    one = torch.randn(MATRIX, MATRIX, device=device).bfloat16()
    costs = step_costs(device, lambda: one.matmul(one), repeats)
    return 2 * MATRIX**3 / costs.seconds


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()

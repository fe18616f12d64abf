"""Commands of training: `medversa-node train`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from model.training.phantoms_command import phantoms
from model.training.prepare_command import datasets, prepare
from model.training.reduce_command import reduce
from model.training.runs.command import run
from model.weights_commands import table


@click.group()
def train() -> None:
    """Train a model."""


train.add_command(datasets)
train.add_command(phantoms)
train.add_command(prepare)
train.add_command(reduce)
train.add_command(run)


@train.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs/medversa-demo"),
    show_default=True,
    help="Folder for cases, checkpoints and, in `weights`, the result.",
)
@click.option(
    "--cases", type=click.IntRange(min=20), default=6050, show_default=True, help="Phantoms in all."
)
@click.option(
    "--steps",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Length of every stage, relative to the shipped weights.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Processes that draw phantoms and, where there is no GPU, train together.",
)
@click.option(
    "--start-from",
    metavar="WEIGHTS",
    help="Go on from these demonstration weights, a folder or a shipped name; encoders and U-Nets are kept.",
)
def demo(*, out: Path, cases: int, steps: float, seed: int, workers: int, start_from: str | None) -> None:
    """Make the demonstration weights from phantoms; run again to go on after an interruption."""
    # torch is loaded only for the command that needs it.
    from model.training.datasets.phantoms import draw_all, load, shards_of
    from model.training.demo_weights import demonstration, require_demo, write_demo_weights, write_figures
    from model.training.finetune import DemoPlan, DemoTraining

    plan = DemoPlan(seed=seed)
    whole = sum(plan.cases.values())
    plan = replace(
        plan,
        cases={kind: max(n * cases // whole, 4) for kind, n in plan.cases.items()},
        steps={stage: max(round(n * steps), 1) for stage, n in plan.steps.items()},
    )
    weights = out / "weights"
    require_demo(weights)
    start = demonstration(start_from) if start_from else None
    console = Console()
    with _bars(console) as bars:
        shown = _Shown(bars)
        training = DemoTraining(plan, out, shown)
        network, tokenizer = training.go_on(start, workers) if start else training.run(workers)
        write_demo_weights(network, tokenizer, plan, weights, started_from=start.identity if start else None)
        held_out = {
            role: [s for kind, n in counts.items() for s in shards_of(kind, first, n)]
            for role, first, counts in _HELD_OUT
        }
        for shards in held_out.values():
            for n, _ in enumerate(draw_all(shards, out / "cases", workers=workers)):
                shown("held-out cases", n + 1, len(shards), {})
        figures = write_figures(weights, *(load(shards, out / "cases") for shards in held_out.values()))
    console.print(table("Held-out phantoms (not clinical)", figures))


@train.command()
@click.option(
    "--run",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("runs/medversa-demo"),
    show_default=True,
    help="Folder of a finished `train demo`.",
)
@click.option(
    "--steps", type=click.IntRange(min=1), default=1000, show_default=True, help="Of the language stage."
)
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Processes.")
@click.option("--limit", type=click.IntRange(min=1), help="Most phantoms of each kind that are asked about.")
def compare(*, run: Path, steps: int, workers: int, limit: int | None) -> None:
    """Compare training on all tasks with vision tasks alone and language tasks alone, on the same eyes."""
    from model.errors import ModelError
    from model.training.demo_weights import plan_of
    from model.training.mixtures import MixturePlan, compare_mixtures

    console = Console()
    try:
        plan = plan_of(run / "weights")
        plan = replace(plan, steps={**plan.steps, "language": steps})
        with _bars(console) as bars:
            compared = compare_mixtures(MixturePlan(run, plan, workers, limit), _Shown(bars))
    except ModelError as exc:
        raise click.ClickException(str(exc)) from exc
    (run / "compare" / "table.md").write_text(compared.markdown(), encoding="utf-8")
    console.print(Markdown(compared.markdown()))


_HELD_OUT = (
    ("calibration", 2_000_000, {"chest": 50}),
    ("examination", 1_000_000, {"chest": 50, "foreign": 50, "skin": 50, "abdomen": 30}),
)
"""Seeds that training never draws, and how many cases of each kind."""


def _bars(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    return Progress(*columns, TimeElapsedColumn(), TextColumn("{task.fields[losses]}"), console=console)


class _Shown:
    """A progress display with one bar per stage."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, steps: int, losses: Mapping[str, float]) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=steps, losses="")
        told = " ".join(f"{name} {value:.3f}" for name, value in losses.items())
        self._bars.update(self._tasks[stage], completed=done, losses=told)

"""Commands of training: `medversa-node train` and `medversa-node weights`."""

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from model.errors import WeightsError
from model.registry import SHIPPED
from model.weights import WEIGHTS_FILE, WeightsConfig, check_hashes, read_config


@click.group()
def train() -> None:
    """Train a model."""


@train.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs/medversa-demo"),
    show_default=True,
    help="Folder for cases, checkpoints and, in `weights`, the result.",
)
@click.option(
    "--cases", type=click.IntRange(min=20), default=5000, show_default=True, help="Phantoms in all."
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
    default=1,
    show_default=True,
    help="Processes that draw phantoms.",
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
    console.print(_table("Held-out phantoms (not clinical)", figures))


_HELD_OUT = (
    ("calibration", 2_000_000, {"chest": 50}),
    ("examination", 1_000_000, {"chest": 50, "foreign": 50, "skin": 50, "abdomen": 30}),
)
"""Seeds that training never draws, and how many cases of each kind."""


@click.group()
def weights() -> None:
    """Look at weights."""


@weights.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False)
def info(folder: Path | None) -> None:
    """Say what the weights in FOLDER are and whether they are unaltered; the shipped ones without FOLDER."""
    try:
        if folder is not None:
            _tell(folder)
            return
        for resource in SHIPPED.values():
            with as_file(files("model.families") / resource) as shipped:
                _tell(shipped)
    except WeightsError as exc:
        raise click.ClickException(str(exc)) from exc


def _tell(folder: Path) -> None:
    config = read_config(folder)
    check_hashes(folder, config)
    Console().print(_table(f"{config.name} {config.version}", _facts(folder, config)))
    Console().print(_table("Held-out phantoms (not clinical)", config.evaluation))


def _facts(folder: Path, config: WeightsConfig) -> dict[str, object]:
    megabytes = (folder / WEIGHTS_FILE).stat().st_size / 1e6
    return {
        "family": config.family,
        "preset": config.preset,
        "demo weights": config.demo_weights,
        "size": f"{megabytes:.1f} MB",
        "sha256 (checked)": config.weights_sha256,
        "source revision": config.training.get("source_revision", "unknown"),
        "yes/no temperature": config.yes_temperature,
    }


def _table(title: str, rows: Mapping[str, object]) -> Table:
    table = Table("figure", "value", title=title)
    for name, value in rows.items():
        table.add_row(name, str(value))
    return table


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

"""The command of evaluation: `medversa-node evaluate`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

if TYPE_CHECKING:
    from model.evaluation.evaluation import Result
    from model.evaluation.sources import Source
    from model.evaluation.text.metric_models import MetricModels
    from model.families.family import Family
    from model.reading import Task

_FOLDER = click.Path(file_okay=False, path_type=Path)
_TASKS = (
    "report",
    "classification",
    "anatomy-detection",
    "pathology-detection",
    "segmentation",
    "comparison",
    "visual-question-answering",
    "region-captioning",
)


@click.command()
@click.argument("dataset")
@click.option("--weights", required=True, help="A shipped name, or a folder of weights.")
@click.option("--split", default="test", show_default=True, help="Of the dataset.")
@click.option("--task", "tasks", multiple=True, type=click.Choice(_TASKS), help="Only this; may be repeated.")
@click.option("--limit", type=click.IntRange(1), help="Most studies; of phantoms, of each kind.")
@click.option("--data", type=_FOLDER, help="Folder of the real pictures; for `transfer` only.")
@click.option("--out", type=_FOLDER, required=True, help="Folder for answers, figures and tables.")
@click.option(
    "--readme",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Write the table of goals between the marks of this file.",
)
@click.option(
    "--metric-models",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file; its table metric_models says where the models of text metrics lie.",
)
@click.option("--device", default="cpu", show_default=True, help="A torch device.")
@click.option("--precision", default="auto", show_default=True, help="Of the language model's weights.")
def evaluate(
    *,
    dataset: str,
    weights: str,
    split: str,
    tasks: tuple[str, ...],
    limit: int | None,
    data: Path | None,
    out: Path,
    readme: Path | None,
    metric_models: Path | None,
    device: str,
    precision: str,
) -> None:
    """Measure WEIGHTS on DATASET, as serving would ask; run again to go on after an interruption.

    DATASET is `phantoms`, a folder that `medversa-node train prepare` or `train export` made, or `transfer`:
    real pictures in the folder `--data`. Every figure comes with the interval of 1,000 bootstrap resamples of
    studies, 2.5 to 97.5 percentiles; on real pictures only where there are enough of them.
    """
    if (dataset == "transfer") != (data is not None and data.is_dir()):
        raise click.UsageError("transfer needs --data, a folder of real pictures, and nothing else does")
    # torch is loaded only for the command that needs it.
    from model.errors import ModelError
    from model.evaluation.evaluation import asked_studies
    from model.evaluation.readme import put_between_marks
    from model.evaluation.report import goals, write_report
    from model.evaluation.sources import source_of, training_of
    from model.evaluation.text.metric_models import MetricModels, ModelPaths, paths_from_toml
    from model.reading import Task
    from model.registry import load_family

    console = Console()
    chosen = [Task(task.replace("-", " ")) for task in tasks]
    try:
        paths = paths_from_toml(metric_models) if metric_models else ModelPaths()
        family = load_family(weights, device, precision)
        if data is not None:
            _transfer(family, data, out, readme, console)
            return
        source = source_of(dataset, split, limit, out)
        source.require_unseen(training_of(weights))
        result = _measured(family, source, out, chosen, MetricModels(paths, device))
        write_report(result, family, asked_studies(family, source, chosen), out)
        if readme is not None:
            put_between_marks(readme, f"evaluation:{dataset}", goals(result))
    except ModelError as exc:
        raise click.ClickException(str(exc)) from exc
    if result.of_phantoms:
        console.print(Markdown(goals(result)))
    for name, reason in result.not_computed.items():
        console.print(f"{name}: {reason}", soft_wrap=True, highlight=False, markup=False)
    console.print(f"tables, figures and answers are in {out}")


def _measured(
    family: "Family", source: "Source", out: Path, tasks: Sequence["Task"], models: "MetricModels"
) -> "Result":
    """Evaluate with a bar that counts studies."""
    from model.evaluation.evaluation import evaluate as run

    with Progress(transient=True) as bars:
        bar = bars.add_task("studies", total=source.studies)
        shown = partial(bars.update, bar)
        return run(
            family, source, out, tasks=tasks, models=models, progress=lambda done: shown(completed=done)
        )


def _transfer(family: "Family", data: Path, out: Path, readme: Path | None, console: Console) -> None:
    """Measure on real pictures.

    Raises:
        EvaluationError: the folder has none of the pictures.
    """
    from model.evaluation.readme import put_between_marks
    from model.evaluation.transfer.transfer import measure

    with console.status("") as shown:
        result = measure(family, data, out, lambda part: shown.update(part))
    tables = "\n".join(table.markdown() for table in result.tables())
    if readme is not None:
        facts = "".join(f"- {fact}\n" for fact in result.facts)
        put_between_marks(readme, "evaluation:transfer", f"{facts}\n{tables}")
    console.print(Markdown(tables))
    console.print(f"tables and every example are in {out}")

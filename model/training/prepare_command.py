"""`medversa-node train datasets` and `train prepare`: turn a downloaded dataset into the common form."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from model.errors import DatasetError
from model.training.datasets.dataset_reader import DatasetReader, Missing, training_on_validate
from model.training.datasets.prepared import Header
from model.training.datasets.registry import DATASETS
from model.training.datasets.shards import write_prepared

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
def datasets() -> None:
    """Say of every dataset where it is published, under which licence, and how its download must lie."""
    for name, reader in sorted(DATASETS.items()):
        card = reader.card
        click.echo(f"{name}: {card.name} {card.version}")
        for what, told in (
            ("published", card.address),
            ("licence", f"{card.licence}, {card.licence_address}"),
            ("layout", card.layout),
            ("split", card.split_rule),
            *(("done", sentence) for sentence in card.preprocessing),
            ("cite", card.citation),
        ):
            click.echo(f"  {what:<10}{told}")


@click.command()
@click.argument("name", type=click.Choice(sorted(DATASETS)))
@click.argument("source", type=FOLDER)
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--check", "only_check", is_flag=True, help="Look for missing files and write nothing.")
@click.option(
    "--partial", is_flag=True, help="Go on without the missing files; records that need them are left out."
)
@click.option(
    "--train-on-validate", is_flag=True, help="Put validate into train, as the paper does with MIMIC-CXR."
)
def prepare(
    *, name: str, source: Path, out: Path, only_check: bool, partial: bool, train_on_validate: bool
) -> None:
    """Write dataset NAME, downloaded to SOURCE, as records to OUT; run again to go on after an interruption.

    Pictures stay in SOURCE. Exits with 1 if files are missing or cut short; each is named with where to get
    it.
    """
    console = Console(stderr=True)
    reader = training_on_validate(DATASETS[name]) if train_on_validate else DATASETS[name]
    console.print(f"{reader.card.name} {reader.card.version}, {reader.card.licence}", highlight=False)
    console.print(f"Expected: {reader.card.layout}", highlight=False)
    try:
        with console.status("Looking for every file"):
            missing = reader.check(source)
        _tell_missing(missing, console)
        if missing and not (partial and not only_check):
            raise SystemExit(1)
        if not only_check:
            _tell(_write(reader, source, out, console), out, console)
    except DatasetError as exc:
        raise click.ClickException(str(exc)) from exc


def _write(reader: DatasetReader, source: Path, out: Path, console: Console) -> Header:
    with console.status("Listing the rows of all tables"):
        cases = reader.cases(source)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task("records", total=len(cases))
        return write_prepared(
            reader.card,
            cases,
            out,
            source=source.resolve(),
            progress=lambda done, total: bars.update(bar, completed=done, total=total),
        )


def _tell_missing(missing: Sequence[Missing], console: Console) -> None:
    """One line a file on standard output, to be piped."""
    for file in missing:
        click.echo(f"{file.problem}\t{file.path}\t{file.get_from}")
    if missing:
        console.print(f"{len(missing)} files are missing or not whole", style="red")
    else:
        console.print("Every file is there and whole")


def _tell(header: Header, out: Path, console: Console) -> None:
    counts = ", ".join(f"{count} {split}" for split, count in sorted(header.records.items())) or "none"
    console.print(f"{out}: records {counts}; {header.skipped} rows left out", highlight=False)
    for reason, count in header.reasons().items():
        console.print(f"  {count} because: {reason}", highlight=False)

"""`medversa-node train reduce`: keeps the volumes of a prepared dataset on a network's grid."""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from model.errors import DatasetError

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("prepared", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=FOLDER)
@click.option("--source", type=FOLDER, help="Where the scans lie, if they were moved.")
@click.option(
    "--grid",
    type=(int, int, int),
    default=(64, 192, 192),
    show_default=True,
    metavar="D I J",
    help="Voxels along depth, left and back; those of the weights that are to be trained.",
)
def reduce(*, prepared: Path, out: Path, source: Path | None, grid: tuple[int, int, int]) -> None:
    """Write the volumes of a PREPARED dataset, as a network takes them, with their records to OUT.

    Training on OUT gives what training on PREPARED gives, without unpacking whole scans for every example.
    """
    # torch is loaded only for the command that needs it.
    from model.training.datasets.prepared import PreparedDataset
    from model.training.datasets.reduced import reduce_volumes

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console) as bars:
            bar = bars.add_task("records", total=None)
            header = reduce_volumes(
                PreparedDataset(prepared, source),
                out.resolve(),
                grid,
                lambda done, total: bars.update(bar, completed=done, total=total),
            )
    except DatasetError as exc:
        raise click.ClickException(str(exc)) from exc
    console.print(f"{out}: {sum(header.records.values())} records; {header.skipped} left out", soft_wrap=True)
    for reason, count in header.reasons().items():
        console.print(f"  {count} because: {reason}", highlight=False)

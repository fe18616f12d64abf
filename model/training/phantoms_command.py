"""`medversa-node train phantoms`: writes generated studies of several dates with what is true of them."""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress


@click.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--kind", type=click.Choice(("chest", "abdomen", "skin")), default="chest", show_default=True)
@click.option("--count", type=click.IntRange(min=1), default=20, show_default=True, help="Persons.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the first person.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
def phantoms(*, out: Path, kind: str, count: int, seed: int, workers: int) -> None:
    """Write phantoms to OUT: pictures, masks, truth.json, a contact sheet, and records in OUT/prepared.

    Nothing of it is of a person. The same seeds give the same files; run again to go on.
    """
    from model.errors import ModelError
    from model.training.phantoms.contact_sheet import sheet_of
    from model.training.phantoms.published import publish

    console = Console()
    try:
        with Progress(console=console) as bars:
            bar = bars.add_task(kind, total=count)
            publish(kind, range(seed, seed + count), out, workers, lambda n: bars.update(bar, completed=n))
    except ModelError as exc:
        raise click.ClickException(str(exc)) from exc
    # Masks have a name behind the date and the view.
    shown = [*out.glob(f"{kind}-*/day????.png"), *out.glob(f"{kind}-*/day????-[PAL][APL].png")]
    sheet_of(sorted(shown), out / "contact_sheet.png")
    console.print(f"phantoms, truth and records are in {out}")

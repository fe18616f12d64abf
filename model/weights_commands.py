"""Commands about weights: `medversa-node weights`."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from model.errors import WeightsError

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def weights() -> None:
    """Look at weights, convert released ones, put others into service."""


@weights.command()
@click.argument("folder", type=FOLDER, required=False)
def info(folder: Path | None) -> None:
    """Say what the weights in FOLDER are and what is missing or altered; the shipped ones without FOLDER.

    FOLDER may be converted or as released. Exits with 1 if the weights cannot be used as they are.
    """
    from model.registry import SHIPPED

    if folder is not None:
        usable = _tell(folder)
    else:
        usable = True
        for resource in SHIPPED.values():
            with as_file(files("model.families") / resource) as shipped:
                usable = _tell(shipped) and usable
    if not usable:
        raise SystemExit(1)


@weights.command()
@click.argument("released", type=FOLDER)
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--base", type=FOLDER, help="Folder of the base language model, if RELEASED does not hold it.")
@click.option("--link-base", is_flag=True, help="Name the base in OUT instead of copying it there.")
@click.option(
    "--tokenizer",
    type=click.Path(exists=True, path_type=Path),
    help="Folder, tokenizer.model or tokenizer.json, if it lies neither in RELEASED nor beside the base.",
)
@click.option("--name", help="Name in results; by default medversa-v0 or medversa-v1.")
def convert(
    *, released: Path, out: Path, base: Path | None, link_base: bool, tokenizer: Path | None, name: str | None
) -> None:
    """Write the checkpoint in RELEASED to OUT, in a layout that transformers and peft open part by part.

    Every tensor is checked by name and shape and stays as it is. Then set `worker.weights` to OUT.
    """
    # torch is loaded only for the command that needs it.
    from model.families.medversa_opening import open_released
    from model.families.medversa_saving import convert as write_converted

    if link_base and base is None:
        raise click.UsageError("--link-base needs --base")
    console = Console()
    try:
        with _bars(console) as bars:
            opened = open_released(released, base, tokenizer, progress=bars)
            config = replace(
                opened.config, name=name or opened.config.name, training={"made_from": released.name}
            )
            config = write_converted(
                replace(opened, config=config), out, refer_to=base if link_base else None, progress=bars
            )
    except WeightsError as exc:
        raise click.ClickException(str(exc)) from exc
    console.print(f"{config.name} ({config.generation}) is in {out}; sha256 {config.weights_sha256}")


def _tell(folder: Path) -> bool:
    """Print what is known of a folder; say whether its weights can be used."""
    from model.families.medversa_survey import survey

    console = Console()
    with _bars(console) as bars:
        found = survey(folder, bars)
    console.print(table(folder.name, found.facts))
    if found.parts:
        console.print(_parts({name: (p.tensors, p.parameters, p.bytes) for name, p in found.parts.items()}))
    if found.evaluation:
        console.print(table("Held-out phantoms (not clinical)", found.evaluation))
    for problem in found.problems:
        console.print(f"[red]WRONG[/red] {problem}", highlight=False, soft_wrap=True)
    return not found.problems


def table(title: str, rows: Mapping[str, object]) -> Table:
    """Two columns: what, and its value."""
    made = Table("figure", "value", title=title)
    for name, value in rows.items():
        made.add_row(name, str(value))
    return made


def _parts(parts: Mapping[str, tuple[int, int, int]]) -> Table:
    made = Table("part")
    for name in ("tensors", "parameters", "MB"):
        made.add_column(name, justify="right")
    total = tuple(sum(column) for column in zip(*parts.values(), strict=True))
    for name, (tensors, parameters, size) in {**parts, "all": total}.items():
        made.add_row(name, str(tensors), f"{parameters:,}", f"{size / 1e6:,.1f}")
    return made


class _Shown:
    """A bar per file that takes long."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, file: str, done: int, total: int) -> None:
        if file not in self._tasks:
            self._tasks[file] = self._bars.add_task(file, total=total)
        self._bars.update(self._tasks[file], completed=done)
        self._bars.update(self._tasks[file], visible=done < total)


@contextmanager
def _bars(console: Console) -> Generator[_Shown]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        yield _Shown(bars)

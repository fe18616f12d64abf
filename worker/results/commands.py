"""`medversa-node results`: what operators do with single results."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from dicom_node.settings import load_settings
from worker.errors import AskedAmissError

P = ParamSpec("P")
T = TypeVar("T")

CONFIG = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The node's TOML file. Default: $MEDVERSA_CONFIG.",
)
_FILE = click.Path(dir_okay=False, path_type=Path)


def told_amiss(command: Callable[P, T]) -> Callable[P, T]:
    """Say what was asked amiss as click says it: exit status 2."""

    @wraps(command)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except AskedAmissError as error:
            raise click.UsageError(str(error)) from error

    return called


@click.group()
def results() -> None:
    """Show results, release or drop those that the publication gate holds, withdraw what was sent."""


@results.command()
@click.argument("what", metavar="UID|FILE")
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.option("--picture", type=_FILE, help="Write a PNG of what the object says on its source image.")
@click.option(
    "--source",
    "sources",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    help="A file or folder with the images that the object speaks of, or objects that it names.",
)
@click.option("--frame", type=click.IntRange(1), help="Draw this frame of the source. Default: the fullest.")
@click.option("--document", type=_FILE, help="Write the document that the object holds to this file.")
@told_amiss
def show(
    *,
    what: str,
    config: Path | None,
    as_json: bool,
    picture: Path | None,
    sources: tuple[Path, ...],
    frame: int | None,
    document: Path | None,
) -> None:
    """Show a result of any maker: SR, SEG, presentation state, key objects, capture or document.

    It is a file, or is looked up by its SOP Instance UID: in the node's store, then in each archive of
    [[query_retrieve]]. So are the images that it names. The patient's identity is not printed.

    Exit status 0 if it was shown, 2 if there is no such object or it cannot be shown as asked.
    """
    # Loaded here: --help needs none of it.
    from worker.results.look_up import Objects
    from worker.results.show import Shown, save, save_picture

    objects = Objects(load_settings(config))
    objects.give(sources)
    shown = Shown(objects.named(what), objects)
    if document is not None:
        content = shown.document()
        save(document, lambda: document.write_bytes(content))
    if picture is not None:
        save_picture(shown.picture(frame), picture)
    click.echo(shown.json() if as_json else shown.text())
    for file in (picture, document):
        if file is not None:
            click.echo(f"written: {file}", err=True)

"""`medversa-node results`: what operators do with single results."""

import json
from collections.abc import Callable
from functools import wraps
from getpass import getuser
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from dicom_node.commands import CONFIG
from dicom_node.settings import load_settings
from dicom_node.study import DecisionKind, OnHold
from worker.errors import AskedAmissError

P = ParamSpec("P")
T = TypeVar("T")

_BY = click.option(
    "--by", default=getuser, show_default="your user name", help="Who decides; written beside the reason."
)
_REASON = click.option("--reason", required=True, help="Why; kept in the index, never sent or logged.")
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


@results.command()
@CONFIG
@click.option(
    "--all", "also_decided", is_flag=True, help="Also what was released or dropped: who, when, why."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@told_amiss
def held(*, config: Path | None, also_decided: bool, as_json: bool) -> None:
    """List what the publication gate holds: job, study, objects, and why.

    Exit status 0, also if nothing is held.
    """
    from worker.results.held import held_values, text_of
    from worker.results.look_up import index_of

    with index_of(load_settings(config)) as database:
        told = held_values(database, also_decided=also_decided)
    click.echo(json.dumps(told, indent=1, ensure_ascii=False) if as_json else text_of(told))


@results.command()
@click.argument("what", metavar="JOB|UID")
@CONFIG
@_REASON
@_BY
@told_amiss
def release(*, what: str, config: Path | None, reason: str, by: str) -> None:
    """Let held results out: a worker delivers them to all their destinations.

    What is held is named by its job, by its study, or by one of its objects; all objects of the job go
    together, since they name each other.

    Exit status 0 if they are released now or were before, 1 if they were dropped, 2 if nothing is held there.
    """
    _decide(what, config, DecisionKind.RELEASED, reason, by)


@results.command()
@click.argument("what", metavar="JOB|UID")
@CONFIG
@_REASON
@_BY
@told_amiss
def drop(*, what: str, config: Path | None, reason: str, by: str) -> None:
    """Never send held results; they stay in the node's store, where `results show` finds them.

    What is held is named by its job, by its study, or by one of its objects.

    Exit status 0 if they are dropped now or were before, 1 if they were released, 2 if nothing is held there.
    """
    _decide(what, config, DecisionKind.DROPPED, reason, by)


@results.command()
@click.argument("what", metavar="STUDY|UID")
@CONFIG
@click.option(
    "--for",
    "ground",
    type=click.Choice(["patient-safety", "quality"]),
    default="patient-safety",
    show_default=True,
    help="What the note says: must not be seen any more, or is of no use.",
)
@_REASON
@_BY
@told_amiss
def withdraw(*, what: str, config: Path | None, ground: str, reason: str, by: str) -> None:
    """Take results back that were sent: all of a study, or one by its UID. This cannot be undone.

    A rejection note (IHE IOCM: a Key Object Selection) goes to each destination that may have them; what has
    not been sent stays here. Archives without IOCM keep showing them: delete them there by hand.

    Exit status 0 if they are withdrawn now or were before, 1 if a worker is sending them, 2 if there are
    none.
    """
    from structured_reports.withdrawal import Ground
    from worker.results.look_up import index_of
    from worker.results.withdrawal import results_named
    from worker.results.withdrawal import withdraw as take_back

    settings = load_settings(config)
    _check_said(reason, by)
    with index_of(settings) as database:
        meant = results_named(what, database)
        done = take_back(
            settings, database, meant, Ground(ground), decided_by=by.strip()[:128], why=reason.strip()
        )
    for job_id, count, is_sent in done:
        what_next = "a worker delivers the note" if is_sent else "nobody has them: no note is sent"
        click.echo(f"job {job_id}: {count} withdrawn; {what_next}")
    if not done:
        click.echo("withdrawn before; nothing changed")


@results.command()
@CONFIG
@told_amiss
def withdrawn(*, config: Path | None) -> None:
    """Print as JSON what was withdrawn: when, by whom, why, and where the note has arrived."""
    from worker.results.look_up import index_of
    from worker.results.withdrawal import withdrawn_values

    with index_of(load_settings(config)) as database:
        click.echo(json.dumps(withdrawn_values(database), indent=1, ensure_ascii=False))


@results.command()
@click.argument("what", metavar="JOB|STUDY|UID")
@CONFIG
@told_amiss
def proofs(*, what: str, config: Path | None) -> None:
    """Print as JSON what each destination answered to each result, and how it has shown that it keeps it."""
    from worker.results.look_up import index_of
    from worker.results.proofs import jobs_named, proof_values

    with index_of(load_settings(config)) as database:
        told = {job_id: proof_values(database, job_id) for job_id in jobs_named(what, database)}
    click.echo(json.dumps(told, indent=1))


def _decide(what: str, config: Path | None, kind: OnHold, why: str, by: str) -> None:
    from worker.results.held import job_named
    from worker.results.look_up import index_of

    _check_said(why, by)
    with index_of(load_settings(config)) as database:
        job_id = job_named(what, database)
        is_new = database.decisions.decide(job_id, kind, decided_by=by.strip()[:128], why=why.strip())
    click.echo(f"job {job_id}: {kind}" if is_new else f"job {job_id}: {kind} before; nothing changed")


def _check_said(why: str, by: str) -> None:
    if not why.strip() or not by.strip():
        raise AskedAmissError("--reason and --by must say something")

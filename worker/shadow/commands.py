"""Commands of the shadow: `medversa-node shadow`."""

import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from dicom_node.commands import CONFIG
from dicom_node.log_redaction import configure_logging
from dicom_node.settings import NodeSettings, load_settings

if TYPE_CHECKING:
    from worker.shadow.runner import Shadow
    from worker.shadow.tally import Tally

POLL_S = 5.0
"""Seconds between looks for studies that were read since."""


@click.group()
def shadow() -> None:
    """Try candidate weights on what the node reads, without sending what they say."""


@shadow.command()
@click.argument("weights")
@CONFIG
@click.option("--device", help="Where both models run. Default: as configured.")
@click.option("--limit", type=click.IntRange(1), help="Stop after this many studies.")
@click.option("--follow", is_flag=True, help="Wait for further studies instead of ending when all are read.")
@click.option("--log-level", default="WARNING", show_default=True, help="DEBUG, INFO, WARNING or ERROR.")
def run(
    *, weights: str, config: Path | None, device: str | None, limit: int | None, follow: bool, log_level: str
) -> None:
    """Read with WEIGHTS, a folder or a shipped name, what the node has read, and keep the results.

    They lie in DATA_DIR/shadow and are never sent. May be ended and started again at any time.
    """
    from model.errors import ModelError

    settings = load_settings(config)
    configure_logging(log_level)
    try:
        made = _open(settings, weights, device or settings.worker.device)
    except ModelError as error:
        raise click.ClickException(str(error)) from error
    done = 0
    while True:
        for job in made.waiting():
            record = made.read(job)
            done += 1
            what = record.differences.told() if record.differences else (record.failure,)
            click.echo(f"{record.study_instance_uid}: {'; '.join(what) or 'no difference'}")
            if done == limit:
                return
        if not follow:
            click.echo(f"{done} studies read; `medversa-node shadow report` sums them up", err=True)
            return
        time.sleep(POLL_S)


@shadow.command()
@click.argument("candidate", required=False)
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def report(*, candidate: str | None, config: Path | None, as_json: bool) -> None:
    """Sum up where a candidate differs from the weights in service.

    CANDIDATE is the beginning of its hash; needed if several were tried. Exits with 1 if there is nothing.
    """
    from worker.shadow.records import records_of
    from worker.shadow.tally import tally

    tried = load_settings(config).node.data_dir / "shadow"
    folders = [f for f in sorted(tried.glob("*")) if f.is_dir() and f.name.startswith(candidate or "")]
    if not folders:
        raise click.ClickException("no such candidate was tried here: see `medversa-node shadow run --help`")
    if len(folders) > 1:
        raise click.ClickException(f"which of {', '.join(f.name for f in folders)}?")
    found = tally(records_of(folders[0]))
    if as_json:
        click.echo(json.dumps(found.values(), indent=1))
    else:
        _print(found)


def _open(settings: NodeSettings, weights: str, device: str) -> "Shadow":
    from dicom_node.database.engine import open_database
    from dicom_node.storage import InstanceStore
    from model.reader import Reader
    from model.registry import load_family
    from worker.app import torch_device
    from worker.shadow.records import ShadowFolder
    from worker.shadow.runner import Shadow

    serving, candidate = (
        Reader(load_family(name, torch_device(device), settings.worker.precision))
        for name in (settings.worker.weights, weights)
    )
    database = open_database(settings.node.database_url)
    data_dir = settings.node.data_dir
    kept = ShadowFolder(data_dir, candidate.identity)
    return Shadow(settings, database, InstanceStore(data_dir, database), serving, candidate, kept)


def _print(found: "Tally") -> None:
    console = Console() if sys.stdout.isatty() else Console(width=160)
    console.print(f"in service: {', '.join(found.serving)}\ncandidate: {', '.join(found.candidate)}")
    console.print(f"{found.studies} studies; seconds a study {found.seconds[0]} and {found.seconds[1]}")
    _table(console, "Declined", ("who", "studies"), found.declined.items())
    _table(console, "Failed", ("why", "studies"), found.failures.items())
    findings = [
        (name, a.both, a.only_serving, a.only_candidate, a.neither, _rounded(a.kappa))
        for name, a in found.findings.items()
    ]
    named = ("finding", "both", "only serving", "only candidate", "neither", "kappa")
    _table(console, "Findings said to be present", named, findings)
    _table(
        console,
        "Change since a prior",
        ("finding", "same", "studies"),
        [(name, *counts) for name, counts in found.changes.items()],
    )
    for title, unit, overlaps in (("Boxes", "IoU", found.boxes), ("Masks", "Dice", found.masks)):
        rows = [(name, *values) for name, values in overlaps.items()]
        _table(console, title, ("label", "studies", f"mean {unit}"), rows)
    _table(
        console,
        "Where they differ",
        ("study", "what"),
        [(uid, "; ".join(what)) for uid, what in found.differing],
    )


def _rounded(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _table(console: Console, title: str, columns: tuple[str, ...], rows: Iterable[Sequence[object]]) -> None:
    listed = [tuple(map(str, row)) for row in rows]
    if not listed:
        return
    made = Table(*columns, title=title, title_justify="left")
    for row in listed:
        made.add_row(*row)
    console.print(made)

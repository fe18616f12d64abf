"""The command `retention`: what is kept for how long, and removing a study by hand."""

from datetime import timedelta
from getpass import getuser
from pathlib import Path

import click

from dicom_node.commands import CONFIG
from dicom_node.database.engine import open_database
from dicom_node.retention import keeping
from dicom_node.settings import load_settings


@click.group()
def retention() -> None:
    """Show which studies may be removed, or remove one."""


@retention.command("list")
@CONFIG
@click.option(
    "--days",
    type=click.FloatRange(min=0),
    help="Studies without news for so long. [default: retention.days, or 0 if that is not set]",
)
def list_(config: Path | None, days: float | None) -> None:
    """Show old studies, the oldest first, and what stands in the way of removing each."""
    settings = load_settings(config)
    age = timedelta(days=(settings.retention.days or 0) if days is None else days)
    database = open_database(settings.node.database_url)
    try:
        found = database.removals.old(database.connections.now() - age)
        for uid in found:
            click.echo(f"{uid}  {database.removals.obstacle(uid) or 'can be removed'}")
    finally:
        database.close()
    if not found:
        click.echo(f"no study is without news for {age / timedelta(days=1):g} days")


@retention.command()
@click.argument("study", metavar="STUDY")
@CONFIG
@click.option("--by", default=getuser, show_default="your user name", help="Who decides; in the history.")
def remove(study: str, config: Path | None, by: str) -> None:
    """Delete images, results and patient of a study here, whatever its age; archives keep what they have.

    STUDY is its Study Instance UID. That it was here, and what was done, stays in the history.
    """
    node = load_settings(config).node
    database = open_database(node.database_url)
    try:
        removed = keeping.remove(database, node.data_dir, study, f"removed by {by}")
        database.removals.clear_log()
    finally:
        database.close()
    click.echo(f"{study} is removed: {removed.images} images and {removed.results} results")

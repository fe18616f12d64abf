"""The command `timeline`: all that happened to one study, on one page."""

import json
import sys
from pathlib import Path

import click

from dicom_node.commands import CONFIG
from dicom_node.database.engine import open_database
from dicom_node.settings import load_settings
from dicom_node.timeline.page import lines_of, page_of
from dicom_node.timeline.timeline import timeline_of

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("study")
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.option("--html", "page", type=_FILE, help="Write a page to this file instead.")
def timeline(study: str, config: Path | None, as_json: bool, page: Path | None) -> None:
    """Show all that happened to STUDY, in order: signals, rules, priors, waits, objects, proofs, failures.

    STUDY is a Study Instance UID or the number of a job. Lines marked ! are failures. Nothing names the
    patient; why people released, dropped or withdrew results is in `medversa-node results held --all` and
    `results withdrawn`.
    """
    database = open_database(load_settings(config).node.database_url)
    try:
        told = timeline_of(database, study)
    finally:
        database.close()
    if page is not None:
        page.write_text(page_of(told), encoding="utf-8")
        return
    sys.stdout.write((json.dumps(told, indent=1) if as_json else "\n".join(lines_of(told))) + "\n")

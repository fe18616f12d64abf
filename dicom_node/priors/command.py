"""The command `priors`: which earlier studies would be compared with a study, and why, without identities."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from dicom_node.commands import CONFIG
from dicom_node.database.engine import open_database
from dicom_node.priors.local import candidate_of
from dicom_node.priors.registry import survey_of
from dicom_node.priors.relevance import MOST_POINTS
from dicom_node.priors.survey import Found
from dicom_node.settings import NodeSettings, load_settings
from dicom_node.storage import InstanceStore

WIDTH_OF_PIPES = 240


@click.command()
@click.argument("study_instance_uid", metavar="STUDY")
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def priors(study_instance_uid: str, config: Path | None, as_json: bool) -> None:
    """Show each earlier study that the sources have of the patient of STUDY, with score, decision and reason.

    STUDY is the Study Instance UID of a study in the node's store. The sources are asked as for a reading;
    nothing is fetched, so what an archive does not say of a study is not in its score.
    """
    settings = load_settings(config)
    rows, notes = considered(study_instance_uid, settings)
    if as_json:
        sys.stdout.write(json.dumps({"candidates": rows, "notes": notes}, indent=1) + "\n")
        return
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH_OF_PIPES)
    console.print(_table(rows))
    for note in notes:
        console.print(note, markup=False)


def considered(study_instance_uid: str, settings: NodeSettings) -> tuple[list[dict[str, Any]], list[str]]:
    """Return one row for each candidate, the best first, and what went wrong.

    Raises:
        StorageError: the study is not known here.
    """
    database = open_database(settings.node.database_url)
    try:
        current = candidate_of(database, database.studies.content(study_instance_uid))
        store = InstanceStore(settings.node.data_dir, database)
        survey = survey_of(current, settings, database, store)
    finally:
        database.close()
    return list(_rows(survey.found, settings.priors.limit)), list(survey.notes)


def _rows(found: Sequence[Found], limit: int) -> Iterator[dict[str, Any]]:
    for place, one in enumerate(found):
        judgement = one.judgement
        is_taken = place < limit and not judgement.obstacle
        yield {
            "study_instance_uid": judgement.candidate.study_instance_uid,
            "source": one.sources[0].name,
            "score": judgement.score,
            **{name: part.points for name, part in judgement.parts.items()},
            "decision": "taken" if is_taken else "left",
            "why": judgement.obstacle
            or (judgement.why if is_taken else f"others are better; the limit is {limit}"),
        }


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    most = ", ".join(f"{name} {points}" for name, points in MOST_POINTS.items())
    table = Table(title=f"candidates ({len(rows)}); most points: {most}", title_justify="left")
    for name in rows[0] if rows else ():
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    return table

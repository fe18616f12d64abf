"""`medversa-node conformance`: results judged object by object, whoever made them."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
from pydicom import Dataset, dcmread

from dicom_node.commands import CONFIG
from dicom_node.settings import NodeSettings, load_settings
from dicom_node.unreadable import UNREADABLE
from structured_reports.checks.bundle import sorted_out
from structured_reports.checks.page import JudgedObject, html_page, text_lines
from structured_reports.checks.registry import judge
from structured_reports.conformance import validate_file


@click.command()
@click.argument("what", nargs=-1, required=True)
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page to this file too."
)
def conformance(*, what: tuple[str, ...], config: Path | None, as_json: bool, html: Path | None) -> None:
    """Judge the results in WHAT: files, folders, or the Study Instance UID of a study that the node has read.

    SR, SEG, presentation states, key objects and captures of any maker are judged by IHE AI Results, by what
    viewers ask for, and by dciodvfy where it is installed; images among them are what they are held against.

    Exit status 0 if every object keeps every rule, 1 if one breaks one, 2 if there is nothing to judge.
    """
    paths = [path for each in what for path in _paths_of(each, load_settings(config))]
    skipped: Counter[str] = Counter()
    read: list[tuple[Path, Dataset]] = []
    with click.progressbar(paths, label="reading", file=sys.stderr, hidden=not sys.stderr.isatty()) as shown:
        for path in shown:
            try:
                read.append((path, dcmread(path)))
            except UNREADABLE as error:
                skipped[f"no readable DICOM file ({type(error).__name__})"] += 1
    judged = _judged(read)
    if not judged:
        raise click.UsageError("no result among these: SR, SEG, presentation state, key objects or capture")
    if html is not None:
        html.write_text(html_page(judged, skipped), encoding="utf-8")
    if as_json:
        click.echo(json.dumps({"objects": [each.values() for each in judged], "skipped": skipped}, indent=1))
    else:
        for line in text_lines(judged):
            click.echo(line)
        for why, count in skipped.items():
            click.echo(f"{count} files left out: {why}", err=True)
    raise SystemExit(0 if all(each.is_sound for each in judged) else 1)


@click.command("conformance-statement")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it there. Default: print it."
)
def conformance_statement(*, out: Path | None) -> None:
    """Write the DICOM conformance statement (PS3.2) of this version of the software, as Markdown."""
    from worker.conformance_statement.document import statement

    if out is None:
        click.echo(statement(), nl=False)
    else:
        out.write_text(statement(), encoding="utf-8")


def _judged(read: Sequence[tuple[Path, Dataset]]) -> list[JudgedObject]:
    bundle = sorted_out(ds for _, ds in read)
    path_of = {id(ds): path for path, ds in read}
    said = list(judge(bundle))
    return [
        JudgedObject(
            str(ds.get("SOPInstanceUID")),
            str(ds.get("Modality") or "?"),
            str(ds.get("SeriesDescription") or ""),
            [each for each in said if each.sop_instance_uid == str(ds.get("SOPInstanceUID"))],
            validate_file(path_of[id(ds)]),
        )
        for ds in bundle.results
    ]


def _paths_of(what: str, settings: NodeSettings) -> list[Path]:
    path = Path(what)
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.is_file())
    if path.exists():
        return [path]
    return _stored(what, settings)


def _stored(study_instance_uid: str, settings: NodeSettings) -> list[Path]:
    """The results and images of a stored study."""
    from dicom_node.database.engine import open_database

    database = open_database(settings.node.database_url)
    try:
        results = [result.path for result in database.results.of_study(study_instance_uid)]
        jobs = database.jobs.of_study(study_instance_uid)
        revision = jobs[-1].revision if jobs else 1
        images = [i.path for i in database.instances.of_study(study_instance_uid, revision)] if jobs else []
    finally:
        database.close()
    if not results:
        raise click.UsageError(f"{study_instance_uid} is no file, no folder and no study that was read here")
    return [*results, *images]

"""The command `medversa-node train export`, beside the other commands of training."""

import re
from pathlib import Path

import click

from dicom_node.log_redaction import configure_logging
from model.training.commands import train

__all__ = ["train"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")


def _date(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if value and re.fullmatch(r"\d{8}", value) is None:
        raise click.BadParameter("write it as YYYYMMDD")
    return value


@train.command()
@click.option("--out", type=_FOLDER, required=True, help="Folder for what is exported; run again to go on.")
@click.option(
    "--key-file",
    type=_FILE,
    required=True,
    help="Key of all pseudonyms and dates, outside of --out; made if it is not there. Who has it can lead "
    "pseudonyms back: keep it apart.",
)
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Take DICOM files below this folder.",
)
@click.option(
    "--pacs", metavar="NAME", help="Take studies from this [[query_retrieve]] of the configuration."
)
@click.option(
    "--config",
    type=_FILE,
    help="The node's TOML file (default: $MEDVERSA_CONFIG); without --folder and --pacs its store is taken.",
)
@click.option(
    "--study", "studies", multiple=True, metavar="UID", help="A Study Instance UID; may be given again."
)
@click.option(
    "--from-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with one Study Instance UID a line.",
)
@click.option("--since", default="", metavar="YYYYMMDD", callback=_date, help="First study date.")
@click.option("--until", default="", metavar="YYYYMMDD", callback=_date, help="Last study date.")
@click.option(
    "--modality", "modalities", multiple=True, metavar="CS", help="CR, CT, DX, …; may be given again."
)
@click.option(
    "--words",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="More words that reports may keep, one a line, UTF-8: those of your language.",
)
def export(
    *,
    out: Path,
    key_file: Path,
    folder: Path | None,
    pacs: str | None,
    config: Path | None,
    studies: tuple[str, ...],
    from_file: Path | None,
    since: str,
    until: str,
    modalities: tuple[str, ...],
    words: Path | None,
) -> None:
    """Export studies of an archive as training data, de-identified.

    Images that the model reads, reports, segmentations and corrected results become records like those of
    `train prepare`. Identity is removed after PS3.15 Annex E and beyond; what cannot be judged safe is left
    out, and the summary says what and why.

    Exit status 0 if every study yielded a record, 3 if some did not, 2 if the request cannot be met, 1 if
    something fails.
    """
    # What decodes pixels is loaded only for the command that needs it.
    from model.errors import ModelError
    from worker.archive_export.session import Request, run_session
    from worker.archive_export.sources import Choice
    from worker.errors import AskedAmissError, WorkerError

    if folder is not None and pacs is not None:
        raise click.UsageError("give --folder or --pacs, not both")
    choice = Choice(frozenset(studies) | _listed(from_file), since, until, frozenset(modalities))
    configure_logging("ERROR")
    try:
        status = run_session(Request(out, key_file, folder, pacs, config, words), choice)
    except AskedAmissError as error:
        raise click.UsageError(str(error)) from error
    except (ModelError, WorkerError) as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(status)


def _listed(path: Path | None) -> frozenset[str]:
    """Read Study Instance UIDs, one a line; what is no UID ends the command."""
    lines = path.read_text(encoding="utf-8").split() if path is not None else []
    wrong = sum(_UID.fullmatch(line) is None for line in lines)
    if wrong:
        raise click.UsageError(f"--from-file: {wrong} of {len(lines)} lines are no Study Instance UID")
    return frozenset(lines)

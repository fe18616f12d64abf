"""One run of the export as a person sees it: opens the source, shows progress, prints the summary."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dicom_node.database.engine import open_database
from dicom_node.settings import load_settings
from dicom_node.storage import InstanceStore
from worker.archive_export.export import Summary, run_export
from worker.archive_export.pseudonyms import Pseudonyms, read_key
from worker.archive_export.report_text import safe_words
from worker.archive_export.sources import ArchiveSource, Choice, FolderSource, StoreSource, pacs_source
from worker.archive_export.study_export import StudyExporter

SOME_LEFT_OUT = 3
"""Exit status where some studies yielded no record."""


@dataclass(frozen=True, slots=True)
class Request:
    """Where studies come from and where they go."""

    out: Path
    key_file: Path
    folder: Path | None
    """A folder of DICOM files; else the PACS, else the node's store."""
    pacs: str | None
    config: Path | None
    words: Path | None


def run_session(request: Request, choice: Choice) -> int:
    """Export and say what came of it; return the exit status.

    Raises:
        AskedAmissError: the request cannot be met.
        NodeError: the source does not answer, or the configuration cannot be used.
        DatasetError: the output folder cannot be written.
    """
    key = read_key(request.key_file, request.out)
    exporter = StudyExporter(request.out, Pseudonyms(key), safe_words(request.words))
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with _opened(request) as source, Progress(*columns, console=console) as bars:
        bar = bars.add_task("studies", total=None)
        summary = run_export(
            source, choice, exporter, lambda done, total: bars.update(bar, completed=done, total=total)
        )
    _tell(summary, request.out, console)
    if isinstance(source, FolderSource):
        _print("Files that could not be read", ("why", "how many"), source.faults, console)
    return SOME_LEFT_OUT if summary.studies_left_out or not summary.studies else 0


@contextmanager
def _opened(request: Request) -> Generator[ArchiveSource]:
    if request.folder is not None:
        yield FolderSource(request.folder)
        return
    settings = load_settings(request.config)
    database = open_database(settings.node.database_url)
    try:
        store = InstanceStore(settings.node.data_dir, database)
        if request.pacs is None:
            yield StoreSource(database, store)
        else:
            yield pacs_source(request.pacs, settings, database, store)
    finally:
        database.close()


def _tell(summary: Summary, out: Path, console: Console) -> None:
    """Print counts, reasons and pseudonyms: no word of it names a patient."""
    counts = ", ".join(f"{count} {split}" for split, count in sorted(summary.records.items())) or "none"
    console.print(f"{out}: {summary.studies} studies; records: {counts}", highlight=False)
    _print("Records that teach", ("task", "records"), summary.examples, console)
    _print("Left out", ("why", "how many"), summary.left_out, console)
    _print("Studies without a record", ("pseudonym", "why"), summary.studies_left_out, console)


def _print(title: str, heads: tuple[str, str], rows: Mapping[str, object], console: Console) -> None:
    table = Table(*heads, title=title)
    for name, value in rows.items():
        table.add_row(name, str(value))
    if rows:
        console.print(table)

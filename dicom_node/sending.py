"""The command `send`: files and folders to one receiver, with the status of every file."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from dicom_node.dimse_status import is_stored
from dicom_node.errors import StorageError, UnreachableError
from dicom_node.scu import Sendable, SendOutcome, send, sendable
from dicom_node.settings import Destination

STORED, NOT_STORED, UNREACHABLE = 0, 1, 2


def send_paths(receiver: Destination, paths: Sequence[Path], *, verbose: bool = False) -> int:
    """Send everything below `paths`; return the exit status of the command."""
    console = Console(soft_wrap=True, highlight=False)
    files: list[Sendable] = []
    unsendable = 0
    for path in _files(paths):
        try:
            files.append(sendable(path))
        except StorageError as exc:
            unsendable += 1
            console.print(f"not sent  {path}: {exc}", markup=False)
    try:
        counts = _send_all(receiver, files, console, verbose=verbose)
    except UnreachableError as exc:
        console.print(f"error: {exc}", markup=False)
        return UNREACHABLE
    stored = sum(count for status, count in counts.items() if is_stored(status))
    console.print(f"{stored} stored, {len(files) - stored} refused or unanswered, {unsendable} not sent")
    return STORED if stored == len(files) and not unsendable else NOT_STORED


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else (path,)


def _send_all(
    receiver: Destination, files: Sequence[Sendable], console: Console, *, verbose: bool
) -> Counter[int | None]:
    counts: Counter[int | None] = Counter()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("sending", total=len(files))
        for file, outcome in zip(files, send(receiver, files), strict=True):
            counts[outcome.status] += 1
            progress.advance(bar)
            if verbose or outcome.status != 0x0000:
                console.print(f"{_word(outcome)}  {file.path}", markup=False)
    return counts


def _word(outcome: SendOutcome) -> str:
    if outcome.status is None:
        return "no answer"
    kind = "stored" if outcome.status == 0 else "warning" if is_stored(outcome.status) else "refused"
    return f"{kind} 0x{outcome.status:04X}"

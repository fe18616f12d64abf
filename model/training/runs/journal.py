"""Tells how a run goes: a line of JSON for each entry, TensorBoard, and a bar on the terminal."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

JOURNAL_FILE = "journal.jsonl"
TENSORBOARD = "tensorboard"
SMOOTHED = 0.95
"""Of a shown figure, what remains of the figure before."""


class Journal(Protocol):
    """Is told what happens."""

    def enter(self, step: int, figures: Mapping[str, float]) -> None:
        """Take figures down that are true after `step` steps."""
        ...

    def advance(self, step: int) -> None:
        """Show that `step` steps are done."""
        ...


class Silent:
    """Keeps nothing: for all devices but the first."""

    def enter(self, step: int, figures: Mapping[str, float]) -> None:
        """See `Journal.enter`."""

    def advance(self, step: int) -> None:
        """See `Journal.advance`."""


class RunJournal:
    """Keeps the journal of a run folder; entries after `step`, which will be made again, are dropped."""

    def __init__(self, folder: Path, step: int, steps: int, console: Console | None) -> None:
        self._path = folder / JOURNAL_FILE
        kept = [line for line in _lines(self._path) if json.loads(line)["step"] <= step]
        self._path.write_text("".join(kept), encoding="utf-8")
        self._shown: dict[str, float] = {}
        self._closing = ExitStack()
        self._file = self._closing.enter_context(self._path.open("a", encoding="utf-8"))
        self._board = SummaryWriter(str(folder / TENSORBOARD), purge_step=step + 1)
        self._closing.callback(self._board.close)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, TextColumn("{task.fields[told]}"), console=console)
        self._bar = self._bars.add_task("steps", total=steps, completed=step, told="")
        if console is not None:
            self._closing.enter_context(self._bars)

    def enter(self, step: int, figures: Mapping[str, float]) -> None:
        """See `Journal.enter`."""
        self._file.write(json.dumps({"step": step, **figures}) + "\n")
        self._file.flush()
        for name, value in figures.items():
            self._board.add_scalar(name, value, step)
            self._shown[name] = SMOOTHED * self._shown.get(name, value) + (1 - SMOOTHED) * value
        told = " ".join(
            f"{name.partition('/')[2]} {value:.3f}"
            for name, value in self._shown.items()
            if name.startswith("loss/")
        )
        self._bars.update(self._bar, told=told)

    def advance(self, step: int) -> None:
        """See `Journal.advance`."""
        self._bars.update(self._bar, completed=step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()


def _lines(path: Path) -> list[str]:
    """Whole lines; an interruption may have left half of one."""
    if not path.exists():
        return []
    return [
        line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")
    ]

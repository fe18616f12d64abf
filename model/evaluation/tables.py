"""Lays figures out in tables, for Markdown and HTML alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from model.evaluation.bootstrap import Estimate
from model.evaluation.figures import Figure
from model.evaluation.goals import reached

_TITLES = {"grammar": "Grammar of answers"}


@dataclass(frozen=True, slots=True)
class Table:
    """Cells are plain text in which backticks mark code."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """A heading and a table."""
        lines = ["| " + " | ".join(cells) + " |" for cells in (self.columns, *self.rows)]
        rule = "|" + "---|" * len(self.columns)
        return "\n".join([f"### {self.title}", "", lines[0], rule, *lines[1:], ""])

    def html(self) -> str:
        """A `<table>` with its caption."""
        head = "".join(f"<th>{escape(cell)}</th>" for cell in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in self.rows
        )
        caption = f"<caption>{escape(self.title)}</caption>"
        return f"<table>{caption}\n<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>\n".replace(
            "`", ""
        )


def told(estimate: Estimate) -> str:
    """`0.912 [0.900, 0.922]`; without an interval where none is known."""
    if math.isnan(estimate.value):
        return "–"
    if math.isnan(estimate.low):
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def task_tables(figures: Sequence[Figure]) -> list[Table]:
    """One table for each task: a row for what was measured, a column for each measure."""
    return [
        _table(task, [one for one in figures if one.task == task])
        for task in dict.fromkeys(one.task for one in figures)
    ]


def goal_table(figures: Sequence[Figure]) -> Table:
    """What demonstration weights must reach, beside what they reach."""
    rows = [
        (
            goal.title,
            f"{goal.least:.2f}",
            told(one.estimate),
            "yes" if one.estimate.value >= goal.least else "no",
            str(one.estimate.studies),
            str(one.answers),
        )
        for goal, one in reached(figures)
    ]
    columns = ("figure", "goal", "value [95 % interval]", "reached", "studies", "answers")
    return Table("Held-out phantoms (not clinical)", columns, tuple(rows))


def _table(task: str, figures: Sequence[Figure]) -> Table:
    names = tuple(dict.fromkeys(one.name for one in figures))
    cells = {(one.of, one.name): told(one.estimate) for one in figures}
    studies: dict[str, int] = {}
    for one in figures:
        studies[one.of] = max(studies.get(one.of, 0), one.estimate.studies)
    rows = [(of, *(cells.get((of, name), "") for name in names), str(n)) for of, n in studies.items()]
    title = _TITLES.get(task, task[:1].upper() + task[1:])
    columns = tuple(f"`{name}`" if "<" in name else name for name in names)
    return Table(title, ("", *columns, "studies"), tuple(rows))

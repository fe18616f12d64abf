"""What others have published on the same datasets, and how it stands beside our figures.

`published.tsv` holds only what was read in its source. Figures of another dataset never stand beside ours.
The paper does not say which of its reports' images, labels or resamples it left out, so that equal names do
not make equal protocols.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from model.evaluation.bootstrap import Estimate
from model.evaluation.figures import Figure
from model.evaluation.tables import Table, told

FILE = "published.tsv"


@dataclass(frozen=True, slots=True)
class Published:
    """One published figure, on our scale."""

    dataset: str
    task: str
    of: str
    measure: str
    system: str
    estimate: Estimate
    source: str


def published() -> list[Published]:
    """Every published figure, in the order of its source."""
    text = (files("model.evaluation") / FILE).read_text(encoding="utf-8")
    return [_row(row) for row in csv.DictReader(text.splitlines(), delimiter="\t")]


def comparison_tables(dataset: str, ours: str, figures: Sequence[Figure]) -> list[Table]:
    """One table for each task of a dataset of which figures were published: a row a system, ours last.

    In the layout of the paper's tables: a column for each measure.
    """
    known = [row for row in published() if row.dataset == dataset]
    measured = {(one.task, one.of, one.name): one.estimate for one in figures}
    tables: list[Table] = []
    for task, of in dict.fromkeys((row.task, row.of) for row in known):
        rows = [row for row in known if (row.task, row.of) == (task, of)]
        measures = tuple(dict.fromkeys(row.measure for row in rows))
        mine = {m: measured[task, of, m] for m in measures if (task, of, m) in measured}
        if not mine:
            continue
        systems = {
            row.system: {r.measure: r.estimate for r in rows if r.system == row.system} for row in rows
        }
        cells = [
            (system, *(told(values[m]) if m in values else "–" for m in measures))
            for system, values in {**systems, ours: mine}.items()
        ]
        sources = ", ".join(dict.fromkeys(row.source for row in rows))
        tables.append(Table(f"{task}, {of}: beside {sources}", ("", *measures), tuple(cells)))
    return tables


def _row(row: dict[str, str]) -> Published:
    value, low, high = (
        float(row[name]) / float(row["per"]) if row[name] else float("nan")
        for name in ("value", "low", "high")
    )
    estimate = Estimate(value, low, high, 0)
    return Published(
        row["dataset"], row["task"], row["of"], row["measure"], row["system"], estimate, row["source"]
    )

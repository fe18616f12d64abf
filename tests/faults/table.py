"""Which tests show which case of the fault catalogue: `python -m tests.faults.table` prints it.

A test says in its name which case it shows: T transport, D data, S storage, Q queue, P archives, M model,
X security, O operations. Nothing is written by hand but what is left, and why.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
NAMED = re.compile(r"test_([TDSQPMXO]\d\d)_\w+")

FIRST = (
    *("T09", "T10", "T11", "T14", "T15", "S01", "S05", "S06", "Q01", "Q02", "Q03", "P01", "P04", "O04"),
    *("T16", "T17", "T19", "D13", "D14", "D17", "P05", "P06", "M04", "M07", "M08", "M09", "M12", "M13"),
    *("T03", "T04", "T06", "T07", "D03", "D05", "X01", "X04", "X06", "X16"),
)
"""The cases to begin with: nothing lost, nothing wrong published, not taken down and not entered."""

TRANSPORT = ("T01", "T02", "T08", "T12", "T13", "T20", "T21", "T23", "T27")
"""The other cases about transport that must hold before a release."""

LEFT: dict[str, str] = {}
"""Cases of `FIRST` and `TRANSPORT` without a test, and why."""

QUEUE = ("Q04", "Q05", "Q06", "Q08", "Q09", "Q11", "Q12", "Q14", "Q15", "Q16")
"""The other cases about queue and workers that must hold before a release; each has a test."""

PARTLY: dict[str, str] = {
    "T20": "rejection notes only: what an archive merges or splits is told to nobody in DICOM",
    "Q09": "no watchdog over a silent consumer: five restarts of Redis never silenced one",
    "Q14": "order and bounds only; memory under 10,000 jobs is not watched",
    "Q16": "a lost accelerator counts as an attempt, since the study may be what does it",
}
"""What the tests of a case leave out, or do otherwise on purpose."""


def named_tests() -> dict[str, list[str]]:
    """Return `file::test` for each case that has one, looked up in the sources."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and (named := NAMED.fullmatch(node.name)):
                found[named[1]].append(f"{path.relative_to(TESTS.parent)}::{node.name}")
    return dict(sorted(found.items()))


def rows() -> list[str]:
    """Return the table in Markdown, the first cases in their order, then all others."""
    found = named_tests()
    others = sorted({*found, *TRANSPORT} - set(FIRST))
    shown = [(case, "<br>".join(found.get(case, [f"left: {LEFT.get(case)}"]))) for case in (*FIRST, *others)]
    shown = [(case, f"{tests}<br>but: {PARTLY[case]}" if case in PARTLY else tests) for case, tests in shown]
    return ["| case | test |", "|---|---|", *(f"| {case} | {tests} |" for case, tests in shown)]


if __name__ == "__main__":
    print("\n".join(rows()))  # noqa: T201 (this is what it is for)

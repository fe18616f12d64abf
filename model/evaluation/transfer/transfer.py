"""Measures weights on real pictures, apart from phantoms, and says how little a few pictures prove."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from model.errors import EvaluationError, ModelError
from model.evaluation.bootstrap import estimate, mean_statistic, numbered
from model.evaluation.pages import write_pages
from model.evaluation.tables import Table, told
from model.evaluation.transfer.changes import consolidation_course, inserted_changes
from model.evaluation.transfer.example import Example
from model.evaluation.transfer.pictures import chest_organs, ct_organs, skin_lesions, taken_and_declined
from model.evaluation.transfer.real_sets import PARTS, files_of
from model.families.family import Family

ENOUGH = 20
"""Patients; of fewer, the interval is not given and nothing is concluded."""

RESULTS = "transfer.json"

_MEASURES: Mapping[str, tuple[tuple[str, ...], Callable[[Family, Path], Iterator[Example]]]] = {
    "lungs and heart": (("masked radiographs",), chest_organs),
    "organs on CT": (("organs on CT",), ct_organs),
    "skin lesions": (("dermoscopy",), skin_lesions),
    "inserted lesions": (("radiographs of several dates",), inserted_changes),
    "course of a consolidation": (("masked radiographs",), consolidation_course),
    "gates": (("masked radiographs", "radiographs of several dates", "out of domain"), taken_and_declined),
}
"""What is measured, and which parts of the folder it needs."""

_NOTES: Mapping[str, str] = {
    "lungs and heart": "Radiologists outlined the lungs also behind the heart, and heart and mediastinum in "
    "one. The weights were taught lungs that end at the heart, and the heart alone.",
    "organs on CT": "The reference is the output of TotalSegmentator, not a person's.",
    "skin lesions": "The photographs have no reference masks. A threshold on darkness is none.",
    "inserted lesions": "Backgrounds are of one patient; the lesions are generated. 2 of 5 statuses are "
    "larger, 2 of 5 smaller: who always says the same is right in 0.4.",
    "course of a consolidation": "Of consolidation that radiologists outlined at each date.",
    "gates": "By pixels: read as a chest whatever the header says. By header: as the node does.",
}

_UNITS: Mapping[str, str] = {"inserted lesions": "lesions"}
"""What the bootstrap draws where it is not patients."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What was found."""

    weights: Mapping[str, str]
    examples: tuple[Example, ...]
    absent: tuple[str, ...]
    """What could not be measured, and why."""

    @property
    def facts(self) -> list[str]:
        """What a reader of the figures must know."""
        return [
            f"Weights: {self.weights['name']} {self.weights['version']}, sha256 {self.weights['sha256']}.",
            "Real pictures, none of which the weights were trained on. This is no clinical performance.",
            f"A figure of fewer than {ENOUGH} patients stands without an interval: too few to conclude. In "
            "brackets: 95 % interval of 1,000 bootstrap resamples.",
            *self.absent,
        ]

    def tables(self) -> list[Table]:
        """One for each part, its note in the title."""
        return [self._table(part) for part in dict.fromkeys(example.part for example in self.examples)]

    def _table(self, part: str) -> Table:
        mine = [example for example in self.examples if example.part == part]
        rows = [
            _row(figure, [example for example in mine if example.figure == figure])
            for figure in dict.fromkeys(example.figure for example in mine)
        ]
        title = f"{part[:1].upper()}{part[1:]}. {_NOTES[part]}"
        columns = ("figure", "mean", "least to most", _UNITS.get(part, "patients"), "cases", "what it tells")
        return Table(title, columns, tuple(rows))


def measure(family: Family, folder: Path, out: Path, progress: Callable[[str], None]) -> Transfer:
    """Measure everything that `folder` has pictures for and write tables, pages and every example to `out`.

    Raises:
        EvaluationError: the folder has none of the parts.
    """
    if not any(files_of(folder, part) for part in PARTS):
        raise EvaluationError(f"none of these files is there: {', '.join(PARTS.values())}")
    examples: list[Example] = []
    absent: list[str] = []
    for part, (needed, measured) in _MEASURES.items():
        progress(part)
        missing = [PARTS[name] for name in needed if not files_of(folder, name)]
        absent += [f"Missing for {part}: {pattern}." for pattern in missing]
        try:
            examples += measured(family, folder)
        except ModelError as exc:
            absent.append(f"Not measured: {part} ({type(exc).__name__}: {exc}).")
    identity = family.identity
    weights = {"name": identity.name, "version": identity.version, "sha256": identity.weights_sha256}
    result = Transfer(weights, tuple(examples), tuple(absent))
    _write(result, out)
    return result


def _row(figure: str, examples: Sequence[Example]) -> tuple[str, ...]:
    values = [example.value for example in examples]
    studies, patients = numbered([example.patient for example in examples])
    reach = f"{min(values):.3f} to {max(values):.3f}"
    if patients < ENOUGH:
        mean, verdict = f"{np.mean(values):.3f}", "too few to conclude"
    else:
        mean, verdict = told(estimate(mean_statistic(values, studies), patients)), "see the interval"
    return figure, mean, reach, str(patients), str(len({example.case for example in examples})), verdict


def _write(result: Transfer, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_pages("Transfer to real pictures", result.facts, result.tables(), out)
    kept = {"facts": result.facts, "examples": [asdict(example) for example in result.examples]}
    (out / RESULTS).write_text(json.dumps(kept, indent=1), encoding="utf-8")

"""All that a run teaches, taken out of its phantoms: pictures, volumes, questions with their answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from model.training.comparisons import strangers
from model.training.datasets.case_files import Case
from model.training.instruction import Instruction
from model.training.instructions import comparisons, instructions_for
from model.training.phantoms.truth import (
    AbdomenCase,
    ChestCase,
    ChestView,
    FindingTruth,
    ForeignCase,
    SkinCase,
)
from model.training.planar_pool import PlanarPool, pool_of
from model.training.telling import visible_findings
from model.training.volume_pool import VolumePool, volume_pool_of


@dataclass(frozen=True, slots=True, eq=False)
class Curriculum:
    """All that a run teaches, in memory."""

    pictures: PlanarPool
    volumes: VolumePool
    instructions: list[tuple[Instruction, tuple[int, ...]]]
    """Each with the rows of its images in `pictures`; none about volumes, whose slabs are cut later."""


def gather(cases: Iterator[Case], tellings: int, strange: float, seed: int) -> Curriculum:
    """Take pictures, volumes and instructions out of cases; `strange` comparisons per radiograph."""
    rng = np.random.default_rng([seed, 1])
    abdomens: list[AbdomenCase] = []
    told: list[tuple[Instruction, tuple[int, ...]]] = []
    radiographs: list[tuple[int, list[FindingTruth]]] = []

    def taken() -> Iterator[ChestView | SkinCase | ForeignCase]:
        row = 0
        for case in cases:
            if isinstance(case, AbdomenCase):
                abdomens.append(case)
                continue
            shown = _shown(case)
            rows = {name: row + n for n, name in enumerate(shown)}
            row += len(shown)
            radiographs.extend(
                (rows[name], visible_findings(view))
                for name, view in shown.items()
                if isinstance(view, ChestView)
            )
            told.extend(
                (instruction, tuple(rows[name] for name in instruction.images))
                for _ in range(tellings)
                for instruction in instructions_for(case, rng)
            )
            yield from shown.values()

    pool = pool_of(taken())
    told.extend(_strange(radiographs, rng, round(strange * len(radiographs))))
    return Curriculum(pool, volume_pool_of(abdomens), told)


def _strange(
    radiographs: list[tuple[int, list[FindingTruth]]], rng: np.random.Generator, pairs: int
) -> Iterator[tuple[Instruction, tuple[int, int]]]:
    findings = [seen for _, seen in radiographs]
    for current, prior, changes in strangers(findings, rng, pairs):
        shown = findings[current], findings[prior]
        for instruction in comparisons(("current", "prior"), changes, shown, rng):
            yield instruction, (radiographs[current][0], radiographs[prior][0])


def _shown(case: ChestCase | SkinCase | ForeignCase) -> Mapping[str, ChestView | SkinCase | ForeignCase]:
    if not isinstance(case, ChestCase):
        return {"current": case}
    return {"current": case.current, "prior": case.prior} if case.prior else {"current": case.current}

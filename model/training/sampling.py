"""Draws homogeneous batches: first a modality, then a task of it, then examples of that task."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model.reading import Modality, Task
from model.training.instruction import Instruction

Kind = tuple[Modality, Task]
"""What all examples of one batch have in common."""

TASK_GROUPS: dict[str, tuple[Task, ...]] = {
    "report": (Task.REPORT,),
    "classification": (Task.CLASSIFICATION,),
    "detection": (Task.ANATOMY_DETECTION, Task.PATHOLOGY_DETECTION),
    "segmentation": (Task.SEGMENTATION,),
    "comparison": (Task.COMPARISON,),
    "vqa": (Task.VQA,),
    "region": (Task.REGION_CAPTIONING,),
}
"""The paper's seven groups of tasks."""


def group_of(task: Task) -> str:
    """Name the group of a task."""
    return next(name for name, tasks in TASK_GROUPS.items() if task in tasks)


def kind_weights(
    kinds: Iterable[Kind], modalities: Mapping[Modality, float], groups: Mapping[str, float]
) -> dict[Kind, float]:
    """Weigh kinds so that a modality is drawn by its weight, then a group of it by its weight.

    Tasks of one group share its weight evenly. What is not named has weight 1, as in the paper; a group of
    weight 0 is never drawn, nor is a modality whose groups all have weight 0.
    """
    kinds = list(kinds)
    shares: dict[Kind, float] = {}
    for modality, task in kinds:
        group = group_of(task)
        mates = sum(m is modality and group_of(t) == group for m, t in kinds)
        shares[modality, task] = groups.get(group, 1.0) / mates
    whole = {m: sum(share for (n, _), share in shares.items() if n is m) for m, _ in kinds}
    return {
        (m, t): modalities.get(m, 1.0) * share / whole[m] if whole[m] else 0.0
        for (m, t), share in shares.items()
    }


class TaskSampler:
    """Domain-aware mini-batches over a list of instructions.

    The paper draws modalities and tasks uniformly; `weights` may say otherwise, since a task of one sentence
    is learned sooner than a report.
    """

    def __init__(self, instructions: Sequence[Instruction], weights: Mapping[Kind, float], seed: int) -> None:
        groups: dict[Kind, list[int]] = defaultdict(list)
        for n, instruction in enumerate(instructions):
            groups[instruction.modality, instruction.task].append(n)
        self._begin({key: np.asarray(rows) for key, rows in groups.items()}, weights, seed)

    @classmethod
    def of_rows(
        cls, groups: Mapping[Kind, NDArray[np.integer[Any]]], weights: Mapping[Kind, float], seed: int
    ) -> Self:
        """Sample rows that are grouped already, such as those of data too large to hold as instructions."""
        made = cls.__new__(cls)
        made._begin(groups, weights, seed)
        return made

    def _begin(
        self, groups: Mapping[Kind, NDArray[np.integer[Any]]], weights: Mapping[Kind, float], seed: int
    ) -> None:
        self._seed, self._groups = seed, groups
        self._weights = {key: weights.get(key, 1.0) for key in groups}

    def draw(self, step: int, size: int) -> list[int]:
        """Draw the indices of one batch of a single modality and task; the same for the same step."""
        return self.draw_kind(step, size)[1]

    def draw_kind(self, step: int, size: int) -> tuple[Kind, list[int]]:
        """Draw as `draw`, and say the modality and task."""
        rng = np.random.default_rng([self._seed, step])
        modalities = sorted({modality for modality, _ in self._groups})
        modality = modalities[self._pick(rng, [self._weight_of(m) for m in modalities])]
        tasks = sorted(task for m, task in self._groups if m is modality)
        task = tasks[self._pick(rng, [self._weights[modality, task] for task in tasks])]
        return (modality, task), rng.choice(self._groups[modality, task], size).tolist()

    def others(self, kind: Kind, chances: Sequence[int]) -> Iterator[int]:
        """Draw more rows of a kind without end, for those that turn out to be of no use."""
        rng = np.random.default_rng([self._seed, *chances])
        while True:
            yield int(rng.choice(self._groups[kind]))

    def _weight_of(self, modality: Modality) -> float:
        return sum(weight for (m, _), weight in self._weights.items() if m is modality)

    @staticmethod
    def _pick(rng: np.random.Generator, weights: Sequence[float]) -> int:
        return int(rng.choice(len(weights), p=np.asarray(weights) / sum(weights)))

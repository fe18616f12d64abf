"""Draws homogeneous batches: first a modality, then a task of it, then examples of that task."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from model.reading import Modality, Task
from model.training.instruction import Instruction


class TaskSampler:
    """Domain-aware mini-batches over a list of instructions.

    The paper draws modalities and tasks uniformly; `weights` may say otherwise, since a task of one sentence
    is learned sooner than a report.
    """

    def __init__(
        self,
        instructions: Sequence[Instruction],
        weights: Mapping[tuple[Modality, Task], float],
        seed: int,
    ) -> None:
        self._seed = seed
        groups: dict[tuple[Modality, Task], list[int]] = defaultdict(list)
        for n, instruction in enumerate(instructions):
            groups[instruction.modality, instruction.task].append(n)
        self._groups = {key: np.asarray(rows) for key, rows in groups.items()}
        self._weights = {key: weights.get(key, 1.0) for key in groups}

    def draw(self, step: int, size: int) -> list[int]:
        """Draw the indices of one batch of a single modality and task; the same for the same step."""
        rng = np.random.default_rng([self._seed, step])
        modalities = sorted({modality for modality, _ in self._groups})
        modality = modalities[self._pick(rng, [self._weight_of(m) for m in modalities])]
        tasks = sorted(task for m, task in self._groups if m is modality)
        task = tasks[self._pick(rng, [self._weights[modality, task] for task in tasks])]
        return rng.choice(self._groups[modality, task], size).tolist()

    def _weight_of(self, modality: Modality) -> float:
        return sum(weight for (m, _), weight in self._weights.items() if m is modality)

    @staticmethod
    def _pick(rng: np.random.Generator, weights: Sequence[float]) -> int:
        return int(rng.choice(len(weights), p=np.asarray(weights) / sum(weights)))

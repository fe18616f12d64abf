"""Figures of texts beside their true texts, by every metric whose model is at hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from model.evaluation.bootstrap import Counts, Values, numbered
from model.evaluation.figures import Figure, figure
from model.evaluation.marks import MarkedStudy
from model.evaluation.text.metric import PerExample
from model.evaluation.text.metric_models import MetricModels
from model.evaluation.text.registry import score_texts


@dataclass(frozen=True, slots=True)
class TextPair:
    """A told text with the true one."""

    task: str
    form: str
    """E.g. `findings`, `difference`."""
    study: str
    """What the bootstrap draws."""
    told: str
    true: str


def text_pairs(marked: Sequence[MarkedStudy], texts: Mapping[str, Sequence[str | None]]) -> list[TextPair]:
    """Pair the answers of each study with its true texts, by key and in the order of its questions."""
    return [
        TextPair(row.task.value, row.form.value, study.patient_study, row.answer, true)
        for study in marked
        for row, true in zip(study.rows, texts[study.key], strict=bool(study.rows))
        if true
    ]


def text_figures(pairs: Sequence[TextPair], models: MetricModels) -> tuple[list[Figure], dict[str, str]]:
    """Judge each form of question apart; beside the figures, why a metric could not be computed.

    Raises:
        WeightsError, MetricError: what was given as a metric's model cannot be read.
    """
    figures: list[Figure] = []
    not_computed: dict[str, str] = {}
    for task, form in dict.fromkeys((pair.task, pair.form) for pair in pairs):
        mine = [pair for pair in pairs if (pair.task, pair.form) == (task, form)]
        judged = score_texts([pair.told for pair in mine], [[pair.true] for pair in mine], models)
        not_computed |= judged.not_computed
        studies, n = numbered([pair.study for pair in mine])
        for per_example in judged.scores.values():
            for column, name in enumerate(per_example.figures):
                statistic = partial(_resampled, per_example, column, studies)
                figures.append(figure(task, name, form, statistic, studies=n, answers=len(mine)))
    return figures, not_computed


def _resampled(per_example: PerExample, column: int, studies: NDArray[np.int64], counts: Counts) -> Values:
    return per_example.combine(counts[:, studies].astype(np.float64))[:, column]

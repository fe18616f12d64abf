"""RadCliQ composes its metrics as published."""

from collections.abc import Sequence

import numpy as np
import pytest

from model.evaluation.text.metric import PerExample, mean_of
from model.evaluation.text.radcliq import V0, V1, RadCliq


class Given:
    """A metric whose values are given."""

    def __init__(self, *values: float) -> None:
        self._values = np.array(values)[:, None]

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> PerExample:
        return mean_of(self._values, "given")


def test_published_row_is_met() -> None:
    """README of github.com/rajpurkarlab/ReXrank-metric, output of step 1, study 2, rounded to 4 digits."""
    metrics = np.array([[0.0, -0.0917, 0.1329, 0.0943]])
    assert pytest.approx([5.6103], abs=5e-4) == V0(metrics)
    assert pytest.approx([2.4692], abs=5e-4) == V1(metrics)


def test_v1_at_its_means_is_0_and_v0_the_mean_number_of_errors() -> None:
    """A standardized metric is 0 at its mean, which leaves the intercept, 1.6417 errors in v0."""
    assert pytest.approx([0.0], abs=1e-9) == V1(np.array([V1.mean]))
    assert pytest.approx([1.641667], abs=1e-6) == V0(np.array([V0.mean]))


@pytest.mark.parametrize("version", [V0, V1])
@pytest.mark.parametrize("better", [0, 1, 2])
def test_better_metrics_give_a_lower_figure(version: type[V0], better: int) -> None:
    metrics = np.full((2, 4), 0.5)
    metrics[1, better] = 0.6
    worse, lower = version(metrics)
    assert lower < worse


def test_figures_are_means_of_reports() -> None:
    metric = RadCliq(
        radgraph=Given(0.0, 1.0),
        bertscore=Given(-0.0917, 1.0),
        similarity=Given(0.1329, 1.0),
        bleu=Given(0.0943, 1.0),
    )
    scored = metric.score(["a", "b"], [["a"], ["b"]])
    assert scored.figures == ("RadCliQ-v0", "RadCliQ-v1")
    assert scored.values[0] == pytest.approx([5.6103, 2.4692], abs=5e-4)
    assert scored.corpus == pytest.approx(scored.values.mean(axis=0))

"""The bootstrap draws studies, gives the intervals that theory gives, and is the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.evaluation.bootstrap import (
    PERCENTILES,
    RESAMPLES,
    Counts,
    Values,
    estimate,
    mean_statistic,
    numbered,
    ratio,
)

Z = 1.959964
"""The 97.5 percentile of the normal distribution."""


def test_resamples_and_percentiles_are_those_of_the_paper() -> None:
    assert (RESAMPLES, PERCENTILES) == (1000, (2.5, 97.5))


def test_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(7).normal(10, 2, 400)
    found = estimate(mean_statistic(values.tolist(), np.arange(400)), 400, resamples=20_000)
    error = values.std() / np.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - Z * error, abs=0.06 * error)
    assert found.high == pytest.approx(values.mean() + Z * error, abs=0.06 * error)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for n in range(300):
        drawn = rng.random(60) < 0.3
        found = estimate(mean_statistic(drawn.astype(float).tolist(), np.arange(60)), 60, seed=n)
        covered += found.low <= 0.3 <= found.high
    # 95 % of 300 within three standard deviations, and a little less for so few studies.
    assert 0.90 <= covered / 300 <= 0.985


def test_answers_of_one_study_are_drawn_together() -> None:
    values = np.random.default_rng(3).normal(0, 1, 50)
    alone = estimate(mean_statistic(values.tolist(), np.arange(50)), 50)
    repeated = estimate(mean_statistic(np.repeat(values, 20).tolist(), np.repeat(np.arange(50), 20)), 50)
    assert (repeated.value, repeated.low, repeated.high) == pytest.approx(
        (alone.value, alone.low, alone.high)
    )


def test_a_resample_is_a_sample_of_the_studies_themselves() -> None:
    values, studies = [1.0, 2.0, 4.0, 8.0, 16.0], np.array([0, 0, 1, 2, 2])
    drawn = np.array([[2, 0, 1]])
    by_hand = np.mean([1, 2, 1, 2, 8, 16])
    assert mean_statistic(values, studies)(drawn) == pytest.approx([by_hand])


def test_same_seed_same_interval_and_another_seed_another() -> None:
    statistic = mean_statistic(np.random.default_rng(1).random(30).tolist(), np.arange(30))
    assert estimate(statistic, 30, seed=4) == estimate(statistic, 30, seed=4)
    assert estimate(statistic, 30, seed=4) != estimate(statistic, 30, seed=5)


def test_resamples_that_define_nothing_are_left_out() -> None:
    def share_of_the_first(counts: Counts) -> Values:
        return ratio(counts[:, 0].astype(np.float64), counts[:, 0].astype(np.float64))

    found = estimate(share_of_the_first, 3)
    assert (found.low, found.high) == (1, 1)


def test_nothing_measured_is_not_a_number() -> None:
    found = estimate(mean_statistic([], np.array([], np.int64)), 0)
    assert np.isnan([found.value, found.low, found.high]).all()
    assert found.studies == 0


def test_studies_are_numbered_as_they_come() -> None:
    numbers, count = numbered(["b", "a", "b", "c"])
    assert numbers.tolist() == [0, 1, 0, 2]
    assert count == 3


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), st.integers(0, 99))
def test_interval_lies_within_what_was_measured(values: list[float], seed: int) -> None:
    studies = np.arange(len(values)) // 2
    found = estimate(mean_statistic(values, studies), int(studies.max()) + 1, resamples=50, seed=seed)
    slack = 1e-9 * (1 + max(map(abs, values)))
    assert min(values) - slack <= found.low <= found.high <= max(values) + slack

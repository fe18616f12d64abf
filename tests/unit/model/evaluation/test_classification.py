"""Classification is measured as scikit-learn measures it, whole and resampled."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.calibration import calibration_curve

from model.evaluation.classification import (
    Answers,
    Measure,
    area_under_curve,
    bin_of,
    calibration_error,
    f1,
    macro,
    micro,
    pooled,
    precision,
    recall,
    tally,
)

ONCE = np.ones((1, 40), np.int64)
BY_NAME = {"f1": (f1, metrics.f1_score), "precision": (precision, metrics.precision_score)}
BY_NAME["recall"] = (recall, metrics.recall_score)


def _answers(seed: int, n: int = 40, steps: int = 20) -> Answers:
    """Ties are many: probabilities are whole steps."""
    rng = np.random.default_rng(seed)
    truths = rng.random(n) < 0.4
    probabilities = np.clip(0.3 * truths + rng.random(n) * 0.7, 0, 1)
    return Answers(np.round(probabilities * steps) / steps, truths, np.arange(n))


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("seed", range(5))
def test_one_label_equals_scikit_learn(name: str, seed: int) -> None:
    ours, theirs = BY_NAME[name]
    answers = _answers(seed)
    expected = theirs(answers.truths, answers.probabilities >= 0.5)
    assert ours(tally(answers, ONCE)) == pytest.approx([expected])


@pytest.mark.parametrize("average", ["macro", "micro"])
@pytest.mark.parametrize("name", BY_NAME)
def test_averages_equal_scikit_learn(name: str, average: str) -> None:
    ours, theirs = BY_NAME[name]
    labels = [_answers(seed) for seed in range(6)]
    true, told = (np.stack(columns, axis=1) for columns in (
        [a.truths for a in labels], [a.probabilities >= 0.5 for a in labels]
    ))  # fmt: skip
    expected = theirs(true, told, average=average, zero_division=np.nan)
    assert {"macro": macro, "micro": micro}[average](ours, labels, ONCE) == pytest.approx([expected])


def test_a_label_that_is_neither_told_nor_true_does_not_count() -> None:
    silent = Answers(np.zeros(40), np.zeros(40, bool), np.arange(40))
    labels = [_answers(0), silent]
    expected = metrics.f1_score(
        np.stack([a.truths for a in labels], 1),
        np.stack([a.probabilities >= 0.5 for a in labels], 1),
        average="macro",
        zero_division=np.nan,
    )
    assert macro(f1, labels, ONCE) == pytest.approx([expected])


@pytest.mark.parametrize("seed", range(5))
def test_area_under_curve_equals_scikit_learn_with_ties(seed: int) -> None:
    answers = _answers(seed, steps=6)
    expected = metrics.roc_auc_score(answers.truths, answers.probabilities)
    assert area_under_curve(answers, ONCE) == pytest.approx([expected])


def test_area_under_curve_of_one_kind_only_is_not_defined() -> None:
    answers = Answers(np.array([0.2, 0.7]), np.array([True, True]), np.arange(2))
    assert np.isnan(area_under_curve(answers, np.ones((1, 2), np.int64))).all()


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([*BY_NAME, "auc"]))
def test_a_resample_equals_scikit_learn_on_the_drawn_studies(seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    answers = _answers(seed, steps=8)
    answers = Answers(answers.probabilities, answers.truths, rng.integers(0, 15, 40))
    counts = rng.multinomial(15, np.full(15, 1 / 15), 3)
    for row, drawn in enumerate(counts):
        rows = np.repeat(np.arange(40), drawn[answers.studies])
        true, probability = answers.truths[rows], answers.probabilities[rows]
        if len(set(true.tolist())) < 2 or not (probability >= 0.5).any():
            continue
        if name == "auc":
            found, expected = area_under_curve(answers, counts), metrics.roc_auc_score(true, probability)
        else:
            ours, theirs = BY_NAME[name]
            found, expected = ours(tally(answers, counts)), theirs(true, probability >= 0.5)
        assert found[row] == pytest.approx(expected)


def test_calibration_error_worked_by_hand() -> None:
    """Bins [0, .5) and [.5, 1]: gaps |0.2 - 1/2| of two answers and |0.8 - 2/3| of three."""
    answers = Answers(
        np.array([0.1, 0.3, 0.7, 0.8, 0.9]), np.array([False, True, True, False, True]), np.arange(5)
    )
    expected = 2 / 5 * 0.3 + 3 / 5 * (0.8 - 2 / 3)
    assert calibration_error(answers, np.ones((1, 5), np.int64), bins=2) == pytest.approx([expected])


def test_calibration_error_agrees_with_the_bins_of_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    probabilities = rng.random(500)
    answers = Answers(probabilities, rng.random(500) < probabilities**2, np.arange(500))
    true, told = calibration_curve(answers.truths, answers.probabilities, n_bins=10)
    sizes = np.bincount(bin_of(answers.probabilities), minlength=10)
    expected = float((sizes * np.abs(true - told)).sum() / 500)
    assert calibration_error(answers, np.ones((1, 500), np.int64)) == pytest.approx([expected])


def test_probability_of_one_belongs_to_the_last_bin() -> None:
    assert bin_of(np.array([0.0, 0.0999, 0.1, 1.0])).tolist() == [0, 0, 1, 9]


@given(st.integers(0, 10_000), st.sampled_from([f1, precision, recall]))
def test_measures_lie_between_zero_and_one(seed: int, measure: Measure) -> None:
    value = measure(tally(_answers(seed), ONCE))[0]
    assert np.isnan(value) or 0 <= value <= 1


def test_micro_average_is_the_measure_of_everything_pooled() -> None:
    labels = [_answers(seed) for seed in range(4)]
    assert micro(f1, labels, ONCE) == pytest.approx(f1(tally(pooled(labels), ONCE)))

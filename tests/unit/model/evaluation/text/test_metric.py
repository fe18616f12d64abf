"""Figures of resamples follow from sums of what was counted in each example."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.errors import MetricError
from model.evaluation.text.metric import FloatArray, PerExample, check_pairs, mean_of, quotient

TABLES = arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=st.floats(-100, 100))


def test_mean_of_values_is_the_mean() -> None:
    scored = mean_of(np.array([[1.0], [0.0], [0.5]]), "figure")
    assert scored.figures == ("figure",)
    assert scored.corpus == pytest.approx([0.5])
    assert scored.values[:, 0] == pytest.approx([1.0, 0.0, 0.5])


def test_an_example_without_a_value_does_not_count() -> None:
    scored = mean_of(np.array([[1.0, 1.0], [np.nan, 3.0]]), "some", "all")
    assert scored.corpus == pytest.approx([1.0, 2.0])
    assert np.isnan(scored.values[1, 0])


def test_a_mean_of_nothing_is_not_a_number() -> None:
    assert np.isnan(mean_of(np.array([[np.nan]]), "figure").corpus).all()


def test_a_resample_counts_an_example_as_often_as_it_is_drawn() -> None:
    scored = mean_of(np.array([[1.0], [4.0]]), "figure")
    weights = np.array([[2.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    assert scored.combine(weights)[:, 0] == pytest.approx([1.0, 2.5, 3.0])


def test_a_ratio_of_sums_is_not_the_mean_of_ratios() -> None:
    def ratio(sums: FloatArray) -> FloatArray:
        return quotient(sums[..., :1], sums[..., 1:])

    scored = PerExample(("ratio",), np.array([[1.0, 1.0], [0.0, 3.0]]), ratio)
    assert scored.corpus == pytest.approx([0.25])
    assert scored.values[:, 0] == pytest.approx([1.0, 0.0])


def test_quotient_says_what_division_by_zero_gives() -> None:
    assert quotient(np.array([2.0, 1.0]), np.array([0.0, 2.0]), undefined=7.0) == pytest.approx([7.0, 0.5])


@given(TABLES)
def test_unit_weights_give_the_corpus_figures(values: FloatArray) -> None:
    scored = mean_of(values, *"abc"[: values.shape[1]])
    ones = np.ones((1, len(scored)))
    assert scored.combine(ones)[0] == pytest.approx(scored.corpus)
    assert scored.corpus == pytest.approx(values.mean(axis=0), abs=1e-9)


@pytest.mark.parametrize(
    ("predictions", "references"), [(["a"], []), ([], [["a"]]), (["a", "b"], [["a"], []]), ([], [])]
)
def test_what_cannot_be_paired_is_refused(predictions: list[str], references: list[list[str]]) -> None:
    with pytest.raises(MetricError):
        check_pairs(predictions, references)


def test_a_refusal_holds_no_text() -> None:
    with pytest.raises(MetricError) as caught:
        check_pairs(["Doe has a mass."], [["Doe"], ["Roe"]])
    assert "Doe" not in str(caught.value)

"""Micro and macro F1 of labels follow from hits, false alarms and misses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.evaluation.text.label_counts import BoolArray, f1_of_sums, label_counts

# Two labels, four examples: 2 hits, 1 false alarm, 1 miss of the first; 1 hit, 2 misses of the second.
PREDICTED = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=bool)
EXPECTED = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0]], dtype=bool)


def test_f1_by_hand() -> None:
    sums = label_counts(PREDICTED, EXPECTED).sum(axis=0)
    micro, macro, micro_first, macro_first = f1_of_sums([0, 1, 2], [0])(sums)
    assert micro == pytest.approx(2 * 3 / (2 * 3 + 1 + 3))
    assert macro == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert micro_first == macro_first == pytest.approx(2 / 3)


def test_a_label_that_nobody_has_may_be_left_out() -> None:
    sums = label_counts(PREDICTED, EXPECTED).sum(axis=0)
    assert f1_of_sums([0, 1, 2], never_seen=np.nan)(sums)[1] == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_no_label_at_all_is_0() -> None:
    nothing = np.zeros((2, 3), dtype=bool)
    sums = label_counts(nothing, nothing).sum(axis=0)
    assert f1_of_sums([0, 1, 2], never_seen=np.nan)(sums) == pytest.approx([0.0, 0.0])


@given(st.data(), st.integers(1, 8), st.integers(1, 4))
def test_f1_is_that_of_precision_and_recall(data: st.DataObject, examples: int, labels: int) -> None:
    shape = (examples, labels)
    predicted: BoolArray = data.draw(arrays(np.bool_, shape))
    expected: BoolArray = data.draw(arrays(np.bool_, shape))
    f1 = []
    for label in range(labels):
        hits = float((predicted & expected)[:, label].sum())
        precision, recall = (hits / max(side[:, label].sum(), 1) for side in (predicted, expected))
        f1.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    macro = f1_of_sums(range(labels))(label_counts(predicted, expected).sum(axis=0))[1]
    assert macro == pytest.approx(np.mean(f1))

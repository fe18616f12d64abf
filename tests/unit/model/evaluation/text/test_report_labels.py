"""Findings that reports state are compared without any weights."""

import numpy as np
import pytest

from model.errors import MetricError
from model.evaluation.text.report_labels import ReportLabelF1


def test_what_is_stated_counts_and_what_is_denied_or_doubted_does_not() -> None:
    predictions = ["Small left pleural effusion. No pneumothorax.", "Possible pneumonia.", "Cardiomegaly."]
    references = [["There is a pleural effusion."], ["Pneumonia."], ["No pneumothorax."]]
    scored = ReportLabelF1().score(predictions, references)
    assert scored.figures == ("finding micro F1", "finding macro F1")
    # One hit (effusion), one miss (pneumonia), one false alarm (the heart); three findings in all.
    assert scored.corpus == pytest.approx([2 / 4, 1 / 3])


def test_other_words_for_the_same_findings_score_1() -> None:
    scored = ReportLabelF1().score(["The heart is enlarged with effusions."], [["Cardiomegaly. Effusion."]])
    assert scored.corpus == pytest.approx([1.0, 1.0])


def test_a_resample_changes_which_findings_the_macro_f1_is_of() -> None:
    scored = ReportLabelF1().score(["Cardiomegaly.", "Clear."], [["Cardiomegaly."], ["Pneumothorax."]])
    both, first, second = scored.combine(np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]]))
    assert both == pytest.approx([2 / 3, 1 / 2])
    assert first == pytest.approx([1.0, 1.0])
    assert second == pytest.approx([0.0, 0.0])


def test_more_than_one_reference_is_refused() -> None:
    with pytest.raises(MetricError, match="one reference"):
        ReportLabelF1().score(["Clear."], [["Clear.", "Clear lungs."]])

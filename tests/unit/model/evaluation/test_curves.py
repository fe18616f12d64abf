"""Curves pass through the points that scikit-learn computes, and are drawn as whole SVG documents."""

from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from model.evaluation.classification import Answers
from model.evaluation.curves import (
    CURVES,
    curves_of,
    plot,
    precision_recall_points,
    reliability_points,
    roc_points,
)


def _answers(seed: int, n: int = 60) -> Answers:
    rng = np.random.default_rng(seed)
    return Answers(np.round(rng.random(n), 1), rng.random(n) < 0.4, np.arange(n))


def _parsed(document: str) -> ElementTree.Element:
    return ElementTree.fromstring(document)  # noqa: S314  # our own


@pytest.mark.parametrize("seed", range(4))
def test_roc_equals_scikit_learn(seed: int) -> None:
    answers = _answers(seed)
    wrong, right, _ = metrics.roc_curve(answers.truths, answers.probabilities, drop_intermediate=False)
    assert np.array(roc_points(answers)) == pytest.approx(np.stack([wrong, right], axis=1))


@pytest.mark.parametrize("seed", range(4))
def test_precision_and_recall_equal_scikit_learn(seed: int) -> None:
    answers = _answers(seed)
    precision, recall, _ = metrics.precision_recall_curve(answers.truths, answers.probabilities)
    # Its last point, precision 1 at recall 0, is no threshold's; ours begins at the highest probability.
    expected = np.stack([recall, precision], axis=1)[:-1][::-1]
    assert np.array(precision_recall_points(answers)) == pytest.approx(expected)


def test_reliability_equals_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    answers = Answers(rng.random(200), rng.random(200) < 0.5, np.arange(200))
    true, told = calibration_curve(answers.truths, answers.probabilities, n_bins=10)
    assert np.array(reliability_points(answers)) == pytest.approx(np.stack([told, true], axis=1))


def test_one_kind_of_truth_gives_no_curve() -> None:
    absent = Answers(np.array([0.2, 0.8]), np.array([False, False]), np.arange(2))
    assert roc_points(absent) == []
    assert precision_recall_points(absent) == []


def test_drawings_are_svg_with_a_line_and_a_name_for_each_label() -> None:
    drawn = curves_of({"lung nodule": _answers(0), "a <b> & c": _answers(1)})
    assert tuple(drawn) == CURVES
    for document in drawn.values():
        root = _parsed(document)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
    roc = _parsed(drawn["roc"])
    texts = [node.text for node in roc.iter("{http://www.w3.org/2000/svg}text")]
    assert {"lung nodule", "a <b> & c"} <= set(texts)


def test_corners_of_the_unit_square_lie_on_the_frame() -> None:
    document = plot("t", ("x", "y"), {"line": [(0, 0), (1, 1)]}, diagonal=False)
    root = _parsed(document)
    frame = next(n for n in root.iter() if n.get("fill") == "none" and n.tag.endswith("rect"))
    x, y, side = (float(frame.get(name, "nan")) for name in ("x", "y", "width"))
    (line,) = (node.get("points") for node in root.iter() if node.tag.endswith("polyline"))
    assert line == f"{x:.1f},{y + side:.1f} {x + side:.1f},{y:.1f}"

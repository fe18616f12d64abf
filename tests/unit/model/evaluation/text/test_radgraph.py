"""RadGraph F1 equals the published scores of the same annotations.

Expected values were printed by the published code on the annotations of `radgraph_annotations`: rewards by
`compute_reward(…, "all")` of package radgraph 0.1.18, RadGraph F1 as `parse_entity_relation` and `compute_f1`
of github.com/rajpurkarlab/CXR-Report-Metric have it (commit 208c45c).
"""

import json
from pathlib import Path
from typing import Any

import pytest

from model.errors import MetricError, NotComputedError
from model.evaluation.text.radgraph import Annotations, RadGraphF1
from tests.unit.model.evaluation.text.radgraph_annotations import ANNOTATIONS, VARIANTS

PUBLISHED = {
    "no acute abnormality": (0.4, 0.8, 0.4, 0.4),
    "tip 4 cm above": (0.3636363636363636, 0.7272727272727272, 0.7272727272727272, 0.3636363636363636),
    "no change, feeding": (0.75, 1.0, 1.0, 0.8),
    "Edema unchanged": (0.4, 0.8, 0.6, 0.8),
    "Chest tube": (0.3333333333333333, 0.6666666666666666, 0.6666666666666666, 0.6666666666666666),
    "chest tube": (0.8333333333333333, 0.6666666666666666, 0.6666666666666666, 0.6666666666666666),
    "tube": (0.25, 0.5, 0.0, 0.0),
    "nothing": (0.0, 0.0, 0.0, 0.0),
}
"""RadGraph F1, RG_E, RG_ER and RG_bar_ER of a text against what it was made from."""


def annotated(folder: Path, *made: dict[str, Any]) -> Annotations:
    path = folder / "annotations.json"
    path.write_text(json.dumps({str(n): annotation for n, annotation in enumerate(made)}))
    return Annotations(path)


@pytest.mark.parametrize(("number", "variant"), VARIANTS)
def test_figures_are_the_published_ones(tmp_path: Path, number: str, variant: dict[str, Any]) -> None:
    original = ANNOTATIONS[number]
    metric = RadGraphF1(annotated(tmp_path, original, variant))
    scored = metric.score([variant["text"]], [[original["text"]]])
    assert scored.figures == ("RadGraph F1", "RG_E", "RG_ER", "RG_bar_ER")
    assert scored.corpus == pytest.approx(PUBLISHED[variant["text"]])


@pytest.mark.parametrize("number", ANNOTATIONS)
def test_the_same_report_scores_1(tmp_path: Path, number: str) -> None:
    text = ANNOTATIONS[number]["text"]
    metric = RadGraphF1(annotated(tmp_path, *ANNOTATIONS.values()))
    assert metric.score([text], [[text]]).corpus == pytest.approx([1.0] * 4)


def test_reports_without_a_common_entity_score_0(tmp_path: Path) -> None:
    one, other = ANNOTATIONS["0"]["text"], ANNOTATIONS["3"]["text"]
    metric = RadGraphF1(annotated(tmp_path, *ANNOTATIONS.values()))
    assert metric.score([one], [[other]]).corpus == pytest.approx([0.0] * 4)


def test_an_empty_report_needs_no_annotation_and_scores_0(tmp_path: Path) -> None:
    metric = RadGraphF1(annotated(tmp_path, ANNOTATIONS["0"]))
    assert metric.score([" "], [[ANNOTATIONS["0"]["text"]]]).corpus == pytest.approx([0.0] * 4)


def test_a_text_is_found_however_radgraph_spaced_it(tmp_path: Path) -> None:
    metric = RadGraphF1(annotated(tmp_path, ANNOTATIONS["4"]))
    text = "No evidence of pneumothorax\nfollowing chest tube removal."
    assert metric.score([text], [[text]]).corpus == pytest.approx([1.0] * 4)


def test_texts_without_annotation_are_counted_and_not_told(tmp_path: Path) -> None:
    metric = RadGraphF1(annotated(tmp_path, ANNOTATIONS["4"]))
    with pytest.raises(NotComputedError, match="2 of 2 texts") as caught:
        metric.score(["Doe has a mass.", "Clear."], [[ANNOTATIONS["4"]["text"]]] * 2)
    assert "Doe" not in str(caught.value)


@pytest.mark.parametrize(
    "content", ["", "[]", "[1]", '{"0": 1}', '{"0": {"text": "a"}}', '{"0": {"text": "a", "entities": [1]}}']
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(MetricError, match=r"other\.json"):
        Annotations(path)


def test_more_than_one_reference_is_refused(tmp_path: Path) -> None:
    text = ANNOTATIONS["4"]["text"]
    with pytest.raises(MetricError, match="one reference"):
        RadGraphF1(annotated(tmp_path, ANNOTATIONS["4"])).score([text], [[text, text]])

"""Every metric that is asked for is computed, or says what it needs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.errors import MetricError
from model.evaluation.text.metric_models import MetricModels, ModelPaths, paths_from_toml
from model.evaluation.text.registry import METRICS, score_texts
from tests.unit.model.evaluation.text.radgraph_annotations import ANNOTATIONS
from tests.unit.model.evaluation.text.report_pairs import PREDICTIONS, REFERENCES

NEEDS = {
    "bertscore": "distilroberta",
    "bertscore-large": "roberta_large",
    "chexbert": "chexbert",
    "chexbert-similarity": "chexbert",
    "radgraph": "radgraph",
    "radcliq": "radgraph",
    "umls": "umls",
}
"""What each metric misses first where nothing is given."""


def test_without_models_every_metric_stands_in_one_of_two_lists() -> None:
    judged = score_texts(PREDICTIONS, REFERENCES, MetricModels(ModelPaths()))
    assert judged.not_computed.keys() == NEEDS.keys()
    assert judged.scores.keys() == METRICS.keys() - NEEDS.keys()


@pytest.mark.parametrize(("metric", "path"), NEEDS.items())
def test_a_metric_says_what_it_needs_where_from_and_how(metric: str, path: str) -> None:
    judged = score_texts(PREDICTIONS, REFERENCES, MetricModels(ModelPaths()), [metric])
    message = judged.not_computed[metric]
    assert message.startswith("not computed: needs ")
    assert "get it from" in message
    assert f"`{path}` of table [metric_models]" in message


def test_a_path_without_a_model_says_what_is_not_there(tmp_path: Path) -> None:
    models = MetricModels(ModelPaths(chexbert=tmp_path, radgraph=tmp_path / "graphs.json"))
    judged = score_texts(PREDICTIONS, REFERENCES, models, ["chexbert", "radgraph"])
    assert f"{tmp_path.name}/model.safetensors is not there" in judged.not_computed["chexbert"]
    assert "graphs.json is not there" in judged.not_computed["radgraph"]


def test_names_of_figures_are_unique() -> None:
    judged = score_texts(PREDICTIONS, REFERENCES, MetricModels(ModelPaths()))
    figures = [figure for scored in judged.scores.values() for figure in scored.figures]
    assert len(set(figures)) == len(figures)


def test_texts_without_annotation_leave_the_metric_uncomputed(tmp_path: Path) -> None:
    path = tmp_path / "graphs.json"
    path.write_text(json.dumps(ANNOTATIONS))
    judged = score_texts(PREDICTIONS, REFERENCES, MetricModels(ModelPaths(radgraph=path)), ["radgraph"])
    assert not judged.scores
    assert "texts are not among the annotations" in judged.not_computed["radgraph"]


def test_what_is_given_is_used(tmp_path: Path) -> None:
    (tmp_path / "graphs.json").write_text(json.dumps(ANNOTATIONS))
    (tmp_path / "concepts.tsv").write_text("C1\tedema\n")
    models = MetricModels(ModelPaths(radgraph=tmp_path / "graphs.json", umls=tmp_path / "concepts.tsv"))
    text = ANNOTATIONS["3"]["text"]
    judged = score_texts([text], [[text]], models, ["radgraph", "umls"])
    assert not judged.not_computed
    assert np.concatenate([judged.scores[name].corpus for name in ("radgraph", "umls")]) == pytest.approx(
        [1.0] * 6
    )


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(MetricError, match="no text metric meteor"):
        score_texts(PREDICTIONS, REFERENCES, MetricModels(ModelPaths()), ["meteor"])


def test_paths_are_read_from_toml_relative_to_it(tmp_path: Path) -> None:
    config = tmp_path / "evaluate.toml"
    config.write_text('[metric_models]\nchexbert = "metrics/chexbert"\numls = "/umls/MRCONSO.RRF"\n')
    assert paths_from_toml(config) == ModelPaths(
        chexbert=tmp_path / "metrics" / "chexbert", umls=Path("/umls/MRCONSO.RRF")
    )


def test_a_file_without_the_table_gives_no_paths(tmp_path: Path) -> None:
    config = tmp_path / "evaluate.toml"
    config.write_text("[other]\n")
    assert paths_from_toml(config) == ModelPaths()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('[metric_models]\nbert = "a"', "not bert"),
        ("[metric_models]\numls = 1", "not umls"),
        ("[metric_models", "is not TOML"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, content: str, fault: Any) -> None:
    config = tmp_path / "evaluate.toml"
    config.write_text(content)
    with pytest.raises(MetricError, match=fault):
        paths_from_toml(config)

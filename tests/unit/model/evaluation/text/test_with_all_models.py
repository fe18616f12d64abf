"""With every model at hand every metric is computed, and RadCliQ is made of the others."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from model.evaluation.text.chexbert import Network
from model.evaluation.text.metric_models import MetricModels, ModelPaths
from model.evaluation.text.radcliq import V0, V1
from model.evaluation.text.registry import METRICS, TextScores, score_texts
from tests.unit.model.evaluation.text.radgraph_annotations import ANNOTATIONS, VARIANTS
from tests.unit.model.evaluation.text.tiny_encoders import bert_config, write_roberta, write_vocabulary

DIFFERENT = [(variant, ANNOTATIONS[number]) for number, variant in VARIANTS]


def write_chexbert(folder: Path) -> Path:
    folder.mkdir()
    config = bert_config(write_vocabulary(folder / "vocab.txt"))
    config.to_json_file(folder / "config.json")
    torch.manual_seed(4)
    save_file(Network(config).state_dict(), folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> TextScores:
    """All metrics of texts that are annotated, by models of random numbers as deep as the published ones."""
    folder = tmp_path_factory.mktemp("models")
    graphs = {str(n): graph for n, graph in enumerate(graph for pair in DIFFERENT for graph in pair)}
    (folder / "graphs.json").write_text(json.dumps(graphs))
    (folder / "concepts.tsv").write_text("C1\tedema\nC2\tchest tube\n")
    paths = ModelPaths(
        distilroberta=write_roberta(folder / "distilroberta", layers=6),
        roberta_large=write_roberta(folder / "roberta_large", layers=24),
        chexbert=write_chexbert(folder / "chexbert"),
        radgraph=folder / "graphs.json",
        umls=folder / "concepts.tsv",
    )
    predictions = [predicted["text"] for predicted, _ in DIFFERENT]
    references = [[expected["text"]] for _, expected in DIFFERENT]
    return score_texts(predictions, references, MetricModels(paths))


def test_every_metric_is_computed(judged: TextScores) -> None:
    assert not judged.not_computed
    assert judged.scores.keys() == METRICS.keys()
    assert all(len(scored) == len(DIFFERENT) for scored in judged.scores.values())


def test_radcliq_is_made_of_the_other_figures(judged: TextScores) -> None:
    parts = ["radgraph", "bertscore", "chexbert-similarity", "sentence-bleu"]
    metrics = np.stack([judged.scores[part].values[:, 0] for part in parts], axis=1)
    expected = np.stack([V0(metrics), V1(metrics)], axis=1)
    assert judged.scores["radcliq"].values == pytest.approx(expected)


def test_figures_have_unique_names(judged: TextScores) -> None:
    figures = [figure for scored in judged.scores.values() for figure in scored.figures]
    assert len(set(figures)) == len(figures)

"""What holds for every metric whatever the texts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.evaluation.text.metric import Metric, PerExample
from model.evaluation.text.metric_models import MetricModels, ModelPaths
from model.evaluation.text.registry import METRICS
from model.evaluation.text.umls import UmlsOverlap

CONCEPTS = {
    ("effusion",): frozenset({"C1"}),
    ("small", "effusion"): frozenset({"C2"}),
    ("heart",): frozenset({"C3"}),
}
NEED_NOTHING: dict[str, Metric] = {
    name: METRICS[name](MetricModels(ModelPaths()))
    for name in ("bleu", "sacrebleu", "sentence-bleu", "rouge", "coco-rouge", "cider", "findings")
} | {"umls": UmlsOverlap(CONCEPTS)}

WORDS = st.sampled_from(
    [
        "no",
        "small",
        "left",
        "effusion",
        "effusion.",
        "The",
        "heart",
        "is",
        "enlarged.",
        "pneumothorax",
        "4.2",
        "ß,",
    ]
)
TEXTS = st.lists(WORDS, max_size=9).map(" ".join)
SENTENCES = st.lists(WORDS, min_size=4, max_size=9).map(" ".join)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6)

EVERY_METRIC = pytest.mark.parametrize("metric", NEED_NOTHING.values(), ids=NEED_NOTHING)


def scored(metric: Metric, pairs: list[tuple[str, str]]) -> PerExample:
    return metric.score([one for one, _ in pairs], [[other] for _, other in pairs])


@EVERY_METRIC
@given(pairs=PAIRS)
@settings(max_examples=40)
def test_there_is_one_row_for_each_example_and_one_figure_for_each_name(
    metric: Metric, pairs: list[tuple[str, str]]
) -> None:
    result = scored(metric, pairs)
    assert len(result) == len(pairs)
    assert result.values.shape == (len(pairs), len(result.figures))
    assert result.corpus.shape == (len(result.figures),)


@EVERY_METRIC
@given(pairs=PAIRS)
@settings(max_examples=40)
def test_unit_weights_give_the_corpus_figures(metric: Metric, pairs: list[tuple[str, str]]) -> None:
    result = scored(metric, pairs)
    assert result.combine(np.ones((2, len(pairs)))) == pytest.approx(
        np.stack([result.corpus] * 2), nan_ok=True
    )


@EVERY_METRIC
@given(data=st.data(), pairs=PAIRS)
@settings(max_examples=40)
def test_the_order_of_examples_does_not_matter(
    metric: Metric, data: st.DataObject, pairs: list[tuple[str, str]]
) -> None:
    shuffled = data.draw(st.permutations(pairs))
    assert scored(metric, shuffled).corpus == pytest.approx(scored(metric, pairs).corpus, nan_ok=True)


@EVERY_METRIC
@given(pairs=st.lists(st.tuples(TEXTS, SENTENCES), min_size=1, max_size=6))
@settings(max_examples=40)
def test_no_prediction_is_better_than_the_reference(metric: Metric, pairs: list[tuple[str, str]]) -> None:
    """Of references of at least four words: BLEU-4 as published gives a shorter text 0, whatever it is."""
    best = scored(metric, [(reference, reference) for _, reference in pairs]).values
    found = scored(metric, pairs).values
    assert np.all((found <= best + 1e-9) | np.isnan(found) | np.isnan(best))


@EVERY_METRIC
@given(pairs=PAIRS)
@settings(max_examples=40)
def test_an_example_drawn_twice_counts_as_two(metric: Metric, pairs: list[tuple[str, str]]) -> None:
    """A resample is judged as the same examples written out, where rarity does not depend on the set."""
    result = scored(metric, pairs)
    if result.figures == ("CIDEr",):
        expected = np.nanmean(result.values[[0, *range(len(pairs))]], axis=0)
    else:
        expected = scored(metric, [pairs[0], *pairs]).corpus
    weights = np.ones((1, len(pairs)))
    weights[0, 0] = 2
    assert result.combine(weights)[0] == pytest.approx(expected, nan_ok=True)

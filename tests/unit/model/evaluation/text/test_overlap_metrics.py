"""BLEU, ROUGE and CIDEr equal their public implementations on shared examples."""

from collections.abc import Sequence

import numpy as np
import pytest
from nltk.translate.bleu_score import SmoothingFunction
from nltk.translate.bleu_score import sentence_bleu as nltk_sentence_bleu
from pycocoevalcap.bleu.bleu import Bleu as PublishedBleu
from pycocoevalcap.cider.cider import Cider as PublishedCider
from pycocoevalcap.rouge.rouge import Rouge as PublishedRouge
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from model.evaluation.text.bleu import Bleu
from model.evaluation.text.cider import Cider
from model.evaluation.text.rouge import CocoRouge, Rouge, longest_common_subsequence
from model.evaluation.text.sacre_bleu import SacreBleu
from model.evaluation.text.sentence_bleu import SentenceBleu
from model.evaluation.text.words import coco_words, spaced_words
from tests.unit.model.evaluation.text.report_pairs import PAIRS, PREDICTIONS, REFERENCES, SEVERAL

ALL_PREDICTIONS = [*PREDICTIONS, *(prediction for prediction, _ in SEVERAL)]
ALL_REFERENCES: list[Sequence[str]] = [*REFERENCES, *(references for _, references in SEVERAL)]
BATCHES = [(ALL_PREDICTIONS, ALL_REFERENCES), (PREDICTIONS[11:14], REFERENCES[11:14])]


def spaced(text: str) -> str:
    return " ".join(coco_words(text))


def published_captions(
    predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """References and predictions by number, split into words, as pycocoevalcap takes them."""
    return (
        {n: [spaced(reference) for reference in given] for n, given in enumerate(references)},
        {n: [spaced(prediction)] for n, prediction in enumerate(predictions)},
    )


@pytest.mark.parametrize(("predictions", "references"), BATCHES)
def test_bleu_is_that_of_pycocoevalcap(predictions: list[str], references: list[list[str]]) -> None:
    expected, each = PublishedBleu(4).compute_score(*published_captions(predictions, references), verbose=0)
    scored = Bleu().score(predictions, references)
    assert list(scored.figures) == [f"BLEU-{n}" for n in (1, 2, 3, 4)]
    assert scored.corpus == pytest.approx(expected, abs=1e-12)
    assert scored.values == pytest.approx(np.transpose(each), abs=1e-12)


@pytest.mark.parametrize(("predictions", "references"), BATCHES)
def test_cider_is_that_of_pycocoevalcap(predictions: list[str], references: list[list[str]]) -> None:
    expected, each = PublishedCider().compute_score(*published_captions(predictions, references))
    scored = Cider().score(predictions, references)
    assert scored.corpus == pytest.approx([expected], abs=1e-12)
    assert scored.values[:, 0] == pytest.approx(each, abs=1e-12)


@pytest.mark.parametrize(("predictions", "references"), BATCHES)
def test_coco_rouge_is_that_of_pycocoevalcap(predictions: list[str], references: list[list[str]]) -> None:
    expected, each = PublishedRouge().compute_score(*published_captions(predictions, references))
    scored = CocoRouge().score(predictions, references)
    assert scored.corpus == pytest.approx([expected], abs=1e-12)
    assert scored.values[:, 0] == pytest.approx(each, abs=1e-12)


def test_rouge_is_that_of_rouge_score() -> None:
    scorer = RougeScorer(["rouge1", "rougeL"], use_stemmer=False)
    each = [
        [scorer.score_multi(given, prediction)[name].fmeasure for name in ("rouge1", "rougeL")]
        for prediction, given in zip(ALL_PREDICTIONS, ALL_REFERENCES, strict=True)
    ]
    scored = Rouge().score(ALL_PREDICTIONS, ALL_REFERENCES)
    assert list(scored.figures) == ["ROUGE-1", "ROUGE-L"]
    assert scored.values == pytest.approx(np.array(each), abs=1e-12)


def test_sacre_bleu_is_that_of_sacrebleu() -> None:
    streams = [[given[0] for given in REFERENCES]]
    expected = BLEU().corpus_score(PREDICTIONS, streams)
    assert SacreBleu().score(PREDICTIONS, REFERENCES).corpus == pytest.approx([expected.score / 100])


@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_sacre_bleu_of_few_examples_is_that_of_sacrebleu(number: int) -> None:
    """Few examples, so that orders without a match are smoothed."""
    chosen = slice(number, number + 3)
    expected = BLEU().corpus_score(PREDICTIONS[chosen], [[given[0] for given in REFERENCES[chosen]]])
    scored = SacreBleu().score(PREDICTIONS[chosen], REFERENCES[chosen])
    assert scored.corpus == pytest.approx([expected.score / 100], abs=1e-12)


def test_sentence_bleu_is_that_of_nltk_with_smoothing_method_1() -> None:
    smoothing = SmoothingFunction().method1
    each = [
        nltk_sentence_bleu(
            [spaced_words(reference) for reference in given], spaced_words(prediction), (0.5, 0.5), smoothing
        )
        for prediction, given in zip(ALL_PREDICTIONS, ALL_REFERENCES, strict=True)
    ]
    scored = SentenceBleu().score(ALL_PREDICTIONS, ALL_REFERENCES)
    assert scored.values[:, 0] == pytest.approx(each, abs=1e-12)


@pytest.mark.parametrize(
    ("first", "second", "length"),
    [("", "", 0), ("", "a", 0), ("a", "a", 1), ("a b c d", "b d", 2), ("b a", "a b", 1), ("a a a", "a", 1)],
)
def test_longest_common_subsequence(first: str, second: str, length: int) -> None:
    assert longest_common_subsequence(first.split(), second.split()) == length

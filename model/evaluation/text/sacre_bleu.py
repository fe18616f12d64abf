"""Corpus BLEU as sacreBLEU reports it (Post, WMT 2018): words by 13a, case kept, exponential smoothing."""

from collections.abc import Sequence

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from model.evaluation.text.metric import FloatArray, PerExample, check_pairs, quotient

ORDERS = 4


class SacreBleu:
    """BLEU-4, signature case:mixed, tok:13a, smooth:exp; a fraction, where sacreBLEU prints percent."""

    def __init__(self) -> None:
        # `effective_order` changes the score of a sentence, not the counts that are taken here.
        self._bleu = BLEU(effective_order=True)

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> PerExample:
        """Count matches and lengths of each example."""
        check_pairs(predictions, references)
        scores = [
            self._bleu.sentence_score(prediction, list(given))
            for prediction, given in zip(predictions, references, strict=True)
        ]
        counts = [[*score.counts, *score.totals, score.sys_len, score.ref_len] for score in scores]
        return PerExample(("sacreBLEU",), np.array(counts, dtype=np.float64), _of_sums)


def _of_sums(sums: FloatArray) -> FloatArray:
    """Orders without a match get half, a quarter, … of one; without a possible match the figure is 0."""
    matches, possible = sums[..., :ORDERS], sums[..., ORDERS : 2 * ORDERS]
    length, expected = sums[..., -2:-1], sums[..., -1:]
    missed = matches == 0
    smoothed = np.where(missed, 0.5 ** np.cumsum(missed, axis=-1), matches)
    precisions = quotient(smoothed, possible)
    precisions[(possible == 0) | missed.all(axis=-1, keepdims=True)] = 0.0
    penalty = np.exp(np.minimum(0.0, 1 - quotient(expected, length, undefined=np.inf)))
    return np.prod(precisions, axis=-1, keepdims=True) ** (1 / ORDERS) * penalty

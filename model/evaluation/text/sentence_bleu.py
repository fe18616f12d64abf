"""BLEU-2 of each report alone, with smoothing method 1 as in nltk; RadCliQ takes it so from fast-bleu."""

from collections.abc import Sequence

import numpy as np

from model.evaluation.text.bleu import clipped_matches, closest_length
from model.evaluation.text.metric import FloatArray, PerExample, check_pairs, mean_of
from model.evaluation.text.words import spaced_words

ORDERS = 2
_UNMATCHED = 0.1
"""Smoothing method 1 (Chen and Cherry, WMT 2014): matches that are counted where there is none."""


class SentenceBleu:
    """The mean of sentence scores, which is not BLEU of the corpus."""

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> PerExample:
        """Score each report by itself."""
        check_pairs(predictions, references)
        scores = [
            sentence_bleu(spaced_words(prediction), [spaced_words(reference) for reference in given])
            for prediction, given in zip(predictions, references, strict=True)
        ]
        values: FloatArray = np.array(scores, dtype=np.float64)[:, None]
        return mean_of(values, "BLEU-2 (sentence)")


def sentence_bleu(words: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Score one text; 0 if no word of it stands in a reference."""
    matches = clipped_matches(words, references, ORDERS)
    if not matches[0]:
        return 0.0
    closest = closest_length(len(words), [len(reference) for reference in references])
    penalty = min(0.0, 1 - closest / len(words))
    precisions = [(found or _UNMATCHED) / max(len(words) - n, 1) for n, found in enumerate(matches)]
    return float(np.exp(np.mean(np.log(precisions)) + penalty))

"""Corpus BLEU-1 to BLEU-4 (Papineni et al., ACL 2002), computed as pycocoevalcap does."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

import numpy as np

from model.evaluation.text.metric import FloatArray, PerExample, check_pairs
from model.evaluation.text.words import coco_words, ngrams

ORDERS = 4
_SMALL, _TINY = 1e-9, 1e-15
"""Of the published code: what keeps its quotients finite, and its score of an empty text above zero."""


class Bleu:
    """Clipped n-gram precision of all texts together, with a penalty for being shorter than the reference.

    Of several references the closest in length counts for the penalty, the shorter one of two.
    """

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> PerExample:
        """Count matches and lengths of each example; the figures are fractions, not percent."""
        check_pairs(predictions, references)
        counts = [
            _counts(coco_words(prediction), [coco_words(reference) for reference in given])
            for prediction, given in zip(predictions, references, strict=True)
        ]
        return PerExample(tuple(f"BLEU-{n}" for n in range(1, ORDERS + 1)), np.array(counts), _of_sums)


def closest_length(length: int, lengths: Sequence[int]) -> int:
    """The reference length that a prediction is measured by."""
    return min(lengths, key=lambda given: (abs(given - length), given))


def clipped_matches(words: Sequence[str], references: Sequence[Sequence[str]], longest: int) -> list[float]:
    """How many runs of 1 to `longest` words stand in a reference too, at most as often as there."""
    found = ngrams(words, longest)
    allowed = reduce(or_, (ngrams(reference, longest) for reference in references))
    matches = [0.0] * longest
    for run, number in (found & allowed).items():
        matches[len(run) - 1] += number
    return matches


def _counts(words: list[str], references: list[list[str]]) -> list[float]:
    possible = [float(max(len(words) - n, 0)) for n in range(ORDERS)]
    closest = closest_length(len(words), [len(reference) for reference in references])
    return [*clipped_matches(words, references, ORDERS), *possible, len(words), closest]


def _of_sums(sums: FloatArray) -> FloatArray:
    matches, possible = sums[..., :ORDERS], sums[..., ORDERS : 2 * ORDERS]
    length, closest = sums[..., -2:-1], sums[..., -1:]
    products = np.cumprod((matches + _TINY) / (possible + _SMALL), axis=-1)
    ratio = (length + _TINY) / (closest + _SMALL)
    return products ** (1 / np.arange(1, ORDERS + 1)) * np.exp(np.minimum(0.0, 1 - 1 / ratio))

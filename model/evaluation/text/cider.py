"""CIDEr-D (Vedantam et al., CVPR 2015), computed as pycocoevalcap does: clipped tf-idf n-grams, times 10."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import exp, log, sqrt

import numpy as np

from model.evaluation.text.metric import PerExample, check_pairs, mean_of
from model.evaluation.text.words import coco_words, ngrams

ORDERS = 4
_SIGMA = 6.0
"""Width of the penalty for another length, in bigrams."""
_SCALE = 10.0

_Runs = Counter[tuple[str, ...]]


class Cider:
    """Similarity in words that are rare among the references of all examples; mean over references.

    How rare a word is follows from the examples that are scored together, so that scores of different sets do
    not compare, and a single example scores 0. Resamples keep the rarity of the whole set, as published
    intervals do.
    """

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> PerExample:
        """Score each example by the rarity of words in all of them."""
        check_pairs(predictions, references)
        counted = [[ngrams(coco_words(reference), ORDERS) for reference in given] for given in references]
        rarity = _Rarity(counted)
        values: list[list[float]] = []
        for prediction, given in zip(predictions, counted, strict=True):
            vector = _Vector(ngrams(coco_words(prediction), ORDERS), rarity)
            values.append([_SCALE * float(np.mean([vector.similarity(_Vector(r, rarity)) for r in given]))])
        return mean_of(np.array(values), "CIDEr")


class _Rarity:
    """Logarithm of how few examples have a run of words in a reference."""

    def __init__(self, references: Sequence[Sequence[_Runs]]) -> None:
        self._documents = Counter(run for given in references for run in set().union(*given))
        self._examples = log(len(references))

    def __getitem__(self, run: tuple[str, ...]) -> float:
        return self._examples - log(max(1, self._documents[run]))


class _Vector:
    """tf-idf weights of the runs of a text, order by order."""

    def __init__(self, runs: _Runs, rarity: _Rarity) -> None:
        self.weights: list[Mapping[tuple[str, ...], float]] = [
            {run: number * rarity[run] for run, number in runs.items() if len(run) == order}
            for order in range(1, ORDERS + 1)
        ]
        self.norms = [sqrt(sum(weight**2 for weight in order.values())) for order in self.weights]
        # The published code takes the number of bigrams for the length.
        self.length = sum(number for run, number in runs.items() if len(run) == 2)

    def similarity(self, reference: "_Vector") -> float:
        """Mean over orders of the clipped cosine, less the penalty for another length."""
        penalty = exp(-((self.length - reference.length) ** 2) / (2 * _SIGMA**2))
        return penalty * float(np.mean([self._cosine(reference, order) for order in range(ORDERS)]))

    def _cosine(self, reference: "_Vector", order: int) -> float:
        norms = self.norms[order] * reference.norms[order]
        theirs = reference.weights[order]
        shared = sum(
            min(w, theirs[run]) * theirs[run] for run, w in self.weights[order].items() if run in theirs
        )
        return shared / norms if norms else 0.0

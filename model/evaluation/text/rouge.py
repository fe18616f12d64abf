"""ROUGE-1 and ROUGE-L (Lin, 2004), as package rouge-score and as pycocoevalcap compute them."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from model.evaluation.text.metric import PerExample, check_pairs, mean_of
from model.evaluation.text.words import coco_words, rouge_words

_COCO_BETA = 1.2
"""Recall counts so many times as much as precision in the evaluation of COCO captions."""


class Rouge:
    """Harmonic means of precision and recall, of words and of the longest common subsequence.

    Of several references the one that gives the highest figure counts.
    """

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> PerExample:
        """Score each example as rouge-score does without its stemmer."""
        check_pairs(predictions, references)
        values = [
            np.max([_rouge(rouge_words(prediction), rouge_words(reference)) for reference in given], axis=0)
            for prediction, given in zip(predictions, references, strict=True)
        ]
        return mean_of(np.array(values), "ROUGE-1", "ROUGE-L")


class CocoRouge:
    """The longest common subsequence as a caption is scored: recall counts more, words are those of COCO.

    Of several references the best precision and the best recall count, be they of different references.
    """

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> PerExample:
        """Score each example as pycocoevalcap does."""
        check_pairs(predictions, references)
        values = [
            [_coco_rouge(coco_words(prediction), [coco_words(reference) for reference in given])]
            for prediction, given in zip(predictions, references, strict=True)
        ]
        return mean_of(np.array(values), "ROUGE-L (COCO)")


def longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Its length, by Hyyrö's bit vectors (2004): one addition of long integers for each word of `second`."""
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    everything = (1 << len(first)) - 1
    unmatched = everything
    for word in second:
        here = unmatched & places.get(word, 0)
        unmatched = (unmatched + here | unmatched - here) & everything
    return len(first) - unmatched.bit_count()


def _rouge(words: list[str], reference: list[str]) -> list[float]:
    shared = (Counter(words) & Counter(reference)).total()
    longest = longest_common_subsequence(words, reference)
    # Twice what is shared over all words is the harmonic mean of precision and recall.
    return [2 * number / (len(words) + len(reference)) if number else 0.0 for number in (shared, longest)]


def _coco_rouge(words: list[str], references: list[list[str]]) -> float:
    # The published code splits at single spaces, so that an empty text is one empty word.
    words, references = words or [""], [reference or [""] for reference in references]
    lengths = [longest_common_subsequence(words, reference) for reference in references]
    precision = max(length / len(words) for length in lengths)
    recall = max(length / len(reference) for length, reference in zip(lengths, references, strict=True))
    if not precision or not recall:
        return 0.0
    return (1 + _COCO_BETA**2) * precision * recall / (recall + _COCO_BETA**2 * precision)

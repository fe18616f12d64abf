"""UMLS precision and recall, by which RadFM judges free answers (Wu et al., 2308.02463).

The paper takes the concepts that scispacy's `en_core_sci_lg` and its UMLS linker find in an answer and in its
reference, and divides the number of those in both by that of the answer (precision) or of the reference
(recall). It publishes no script. The linker guesses concepts from spelling, by a pickled index; here one is
found where one of its names stands word for word, the longest name first, as dictionary taggers do.
Figures compare between systems that are judged with the same table, and not with those of the paper.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from model.errors import MetricError
from model.evaluation.text.metric import PerExample, check_pairs, mean_of, only_references
from model.evaluation.text.words import rouge_words

Names = Mapping[tuple[str, ...], frozenset[str]]
"""Words of a name, and the concepts (CUI) that are called so."""

_LONGEST_NAME = 8
"""Words; longer names do not stand in reports as they stand in a table."""
_CONCEPT, _LANGUAGE, _NAME, _SUPPRESSED = 0, 1, 14, 16
"""Columns of MRCONSO.RRF (UMLS Reference Manual, chapter 3)."""


class UmlsOverlap:
    """Means over examples.

    Precision is 0 where only the reference has concepts. An example has no precision where neither has any,
    and no recall where the reference has none.
    """

    def __init__(self, names: Names) -> None:
        self._names = names

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> PerExample:
        """Compare the concepts of each example."""
        check_pairs(predictions, references)
        found = [
            [concepts_in(text, self._names) for text in pair]
            for pair in zip(predictions, only_references(references), strict=True)
        ]
        values = [_overlap(predicted, expected) for predicted, expected in found]
        return mean_of(np.array(values), "UMLS precision", "UMLS recall")


def concepts_in(text: str, names: Names) -> frozenset[str]:
    """The concepts that a text names, from left to right, the longest name at each word."""
    words = rouge_words(text)
    found: set[str] = set()
    start = 0
    while start < len(words):
        for length in range(min(_LONGEST_NAME, len(words) - start), 0, -1):
            if concepts := names.get(tuple(words[start : start + length])):
                found |= concepts
                break
        else:
            length = 1
        start += length
    return frozenset(found)


def read_names(path: Path) -> Names:
    """Read names of concepts from MRCONSO.RRF, or from a table of concept, tab, name.

    Of MRCONSO.RRF the English names that are not suppressed are taken. It is large; a table of what radiology
    speaks of is enough.

    Raises:
        MetricError: a row has too few columns, or there is no name.
    """
    names: dict[tuple[str, ...], set[str]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for concept, name in _rows(file, path):
            words = tuple(rouge_words(name))
            if 0 < len(words) <= _LONGEST_NAME:
                names.setdefault(words, set()).add(concept)
    if not names:
        raise MetricError(f"{path.name} has no names of concepts")
    return {words: frozenset(concepts) for words, concepts in names.items()}


def _rows(file: Iterator[str], path: Path) -> Iterator[tuple[str, str]]:
    table = path.suffix.upper() != ".RRF"
    for row in csv.reader(file, delimiter="\t" if table else "|", quoting=csv.QUOTE_NONE):
        if len(row) < (2 if table else _SUPPRESSED + 1):
            raise MetricError(f"a row of {path.name} has {len(row)} columns")
        if table:
            yield row[0], row[1]
        elif row[_LANGUAGE] == "ENG" and row[_SUPPRESSED] == "N":
            yield row[_CONCEPT], row[_NAME]


def _overlap(predicted: frozenset[str], expected: frozenset[str]) -> tuple[float, float]:
    shared = len(predicted & expected)
    precision = shared / len(predicted) if predicted else 0.0 if expected else np.nan
    return precision, shared / len(expected) if expected else np.nan

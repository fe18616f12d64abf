"""RadGraph F1: what two reports share of the entities and relations that RadGraph found in them.

RadGraph (Jain et al., NeurIPS 2021) itself is not run: its public packages open pickled checkpoints by a copy
of AllenNLP. What is read are its annotations of the same texts, made beforehand, in the form they all write.
"""

import json
from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import MetricError, NotComputedError
from model.evaluation.text.metric import FloatArray, PerExample, check_pairs, mean_of, only_references


@dataclass(frozen=True, slots=True)
class Entity:
    """Words that RadGraph marked."""

    tokens: str
    label: str
    """`ANAT-DP`, `OBS-DA`, `OBS-U` and so on, or the longer names of RadGraph-XL."""
    relations: tuple[tuple[str, str], ...]
    """Name of the relation, and number of the entity that it leads to."""


Graph = Mapping[str, Entity]
"""Entities by number."""


class RadGraphF1:
    """F1 of a report's graph, mean over reports.

    `RadGraph F1` is the mean of the F1 of entities and of relations (Yu et al., Patterns 2023), which RadCliQ
    is made of. RG_E, RG_ER and RG_bar_ER are the rewards of Delbrouck et al. (EMNLP Findings 2022): entities;
    entities and whether they have a relation; entities without a relation, and relations.
    """

    def __init__(self, annotations: "Annotations") -> None:
        self._annotations = annotations

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> PerExample:
        """Compare each report with its reference."""
        check_pairs(predictions, references)
        theirs, ours = (
            self._annotations.graphs(texts) for texts in (only_references(references), predictions)
        )
        values: FloatArray = np.array(
            [[radgraph_f1(a, b), *rewards(a, b)] for a, b in zip(ours, theirs, strict=True)]
        )
        return mean_of(values, "RadGraph F1", "RG_E", "RG_ER", "RG_bar_ER")


def radgraph_f1(one: Graph, other: Graph) -> float:
    """Mean of the F1 of entities and the F1 of relations with both their ends."""
    return (_f1(_entities(one), _entities(other)) + _f1(_relations(one), _relations(other))) / 2


def rewards(one: Graph, other: Graph) -> tuple[float, float, float]:
    """RG_E, RG_ER and RG_bar_ER; all 0 where a report has no entity."""
    return (
        _f1(_entities(one), _entities(other)),
        _f1(_entities_and_whether_related(one), _entities_and_whether_related(other)),
        _f1(_entities_or_relations(one), _entities_or_relations(other)),
    )


class Annotations:
    """The graphs of texts, found by the text itself whatever its white space."""

    def __init__(self, path: Path) -> None:
        """Read a file of annotations: `{"0": {"text": …, "entities": {…}}, …}`.

        Raises:
            MetricError: the file is not of that form.
        """
        try:
            stored: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            self._graphs = {_key(made["text"]): _graph(made["entities"]) for made in stored.values()}
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise MetricError(f"{path.name} does not hold annotations as RadGraph writes them") from exc

    def graphs(self, texts: Sequence[str]) -> list[Graph]:
        """The graph of each text; that of an empty one is empty.

        Raises:
            NotComputedError: texts were not annotated.
        """
        missing = sum(bool(_key(text)) and _key(text) not in self._graphs for text in texts)
        if missing:
            raise NotComputedError(
                f"{missing} of {len(texts)} texts are not among the annotations of RadGraph"
            )
        return [self._graphs.get(_key(text), {}) for text in texts]


def _key(text: str) -> str:
    # RadGraph writes the text back as the words that it split it into.
    return "".join(text.split())


def _graph(entities: Mapping[str, Any]) -> Graph:
    return {
        number: Entity(made["tokens"], made["label"], tuple((name, end) for name, end in made["relations"]))
        for number, made in entities.items()
    }


def _entities(graph: Graph) -> Set[Hashable]:
    return {(entity.tokens, entity.label) for entity in graph.values()}


def _entities_and_whether_related(graph: Graph) -> Set[Hashable]:
    return {(entity.tokens, entity.label, bool(entity.relations)) for entity in graph.values()}


def _entities_or_relations(graph: Graph) -> Set[Hashable]:
    """The published code ignores case in relations, and only there."""
    alone = {(entity.tokens, entity.label) for entity in graph.values() if not entity.relations}
    related = {
        (entity.tokens.lower(), entity.label, name, graph[end].tokens.lower())
        for entity in graph.values()
        for name, end in entity.relations
    }
    return alone | related


def _relations(graph: Graph) -> Set[Hashable]:
    return {
        ((entity.tokens, entity.label), name, (graph[end].tokens, graph[end].label))
        for entity in graph.values()
        for name, end in entity.relations
    }


def _f1(one: Set[Hashable], other: Set[Hashable]) -> float:
    return 2 * len(one & other) / (len(one) + len(other)) if one and other else 0.0

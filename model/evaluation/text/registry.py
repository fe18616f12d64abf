"""Which text metrics there are, and how a set of texts is judged by them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from model.errors import MetricError, NotComputedError
from model.evaluation.text.bertscore import BertScore
from model.evaluation.text.bleu import Bleu
from model.evaluation.text.chexbert import ChexbertF1, ChexbertSimilarity
from model.evaluation.text.cider import Cider
from model.evaluation.text.metric import Metric, PerExample
from model.evaluation.text.metric_models import MetricModels
from model.evaluation.text.radcliq import RadCliq
from model.evaluation.text.radgraph import RadGraphF1
from model.evaluation.text.report_labels import ReportLabelF1
from model.evaluation.text.rouge import CocoRouge, Rouge
from model.evaluation.text.sacre_bleu import SacreBleu
from model.evaluation.text.sentence_bleu import SentenceBleu
from model.evaluation.text.umls import UmlsOverlap

METRICS: dict[str, Callable[[MetricModels], Metric]] = {
    "bleu": lambda models: Bleu(),
    "sacrebleu": lambda models: SacreBleu(),
    "sentence-bleu": lambda models: SentenceBleu(),
    "rouge": lambda models: Rouge(),
    "coco-rouge": lambda models: CocoRouge(),
    "cider": lambda models: Cider(),
    "findings": lambda models: ReportLabelF1(),
    "bertscore": lambda models: BertScore(models.distilroberta),
    "bertscore-large": lambda models: BertScore(models.roberta_large, "BERTScore (roberta-large)"),
    "chexbert": lambda models: ChexbertF1(models.chexbert),
    "chexbert-similarity": lambda models: ChexbertSimilarity(models.chexbert),
    "radgraph": lambda models: RadGraphF1(models.radgraph),
    "radcliq": lambda models: RadCliq(
        radgraph=RadGraphF1(models.radgraph),
        bertscore=BertScore(models.distilroberta),
        similarity=ChexbertSimilarity(models.chexbert),
        bleu=SentenceBleu(),
    ),
    "umls": lambda models: UmlsOverlap(models.umls),
}
"""How each metric is made."""


@dataclass(frozen=True, slots=True)
class TextScores:
    """What came of each metric that was asked for: it stands in one of the two."""

    scores: Mapping[str, PerExample]
    not_computed: Mapping[str, str]
    """What the metric needs, where to get it and how to give it."""


def score_texts(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    models: MetricModels,
    names: Collection[str] = tuple(METRICS),
) -> TextScores:
    """Judge predictions by the metrics of `METRICS` that are named.

    Raises:
        MetricError: there is no such metric, or texts cannot be compared; see `check_pairs`.
        WeightsError: a model is there and cannot be read.
    """
    if unknown := sorted(set(names) - METRICS.keys()):
        raise MetricError(f"no text metric {', '.join(unknown)}; there are {', '.join(METRICS)}")
    scores: dict[str, PerExample] = {}
    not_computed: dict[str, str] = {}
    for name in names:
        try:
            scores[name] = METRICS[name](models).score(predictions, references)
        except NotComputedError as exc:
            not_computed[name] = f"not computed: {exc}"
    return TextScores(scores, not_computed)

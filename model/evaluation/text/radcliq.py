"""RadCliQ (Yu et al., Patterns 2023): four metrics in one figure that follows the errors radiologists count.

Each is a linear function of standardized metrics, published as pickled scikit-learn models in
github.com/rajpurkarlab/CXR-Report-Metric. Their numbers were read off the same models as package multimedeval
ships them, without running the pickles: version 0.1.0 for v0 (`normalizer_dill.pkl`,
`composite_metric_model_dill.pkl`), 1.0.0 for v1 (`radcliq-v1.dill`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.evaluation.text.metric import FloatArray, Metric, PerExample, mean_of


@dataclass(frozen=True, slots=True)
class Composition:
    """A linear function of RadGraph F1, BERTScore, CheXbert similarity and BLEU-2, in this order."""

    mean: tuple[float, float, float, float]
    scale: tuple[float, float, float, float]
    weights: tuple[float, float, float, float]
    intercept: float

    def __call__(self, metrics: FloatArray) -> FloatArray:
        """(N,) figures from (N, 4) metrics; lower is better."""
        return (metrics - self.mean) / self.scale @ np.array(self.weights) + self.intercept


V0 = Composition(
    mean=(0.5398376019082272, 0.6312549595000001, 0.7716797866672277, 0.4607372064809605),
    scale=(0.3018344440559102, 0.22466950746141123, 0.24750333805236252, 0.30336670936092264),
    weights=(-0.4796252644863446, -0.6762170542369337, -0.46366575161751994, 0.2165861905287535),
    intercept=1.641666666666666,
)
"""An estimate of how many errors a radiologist would find; what papers before 2024 report as RadCliQ."""

V1 = Composition(
    mean=(0.5379231241355762, 0.6175725628125001, 0.7647942121140658, 0.44738335396242174),
    scale=(0.3028258411486429, 0.22430938459304575, 0.2539439110169773, 0.2989271671041838),
    weights=(-0.37708368261038905, -0.37030009974480316, -0.25261621789593225, 4.315048405024756e-12),
    intercept=2.466552561323256e-10,
)
"""In standard deviations. Leaderboards print its inverse, the higher the better, which has no mean."""


class RadCliq:
    """Both versions, mean over reports."""

    def __init__(self, *, radgraph: Metric, bertscore: Metric, similarity: Metric, bleu: Metric) -> None:
        """Take the metrics that it is made of, each with its figure first."""
        self._parts = (radgraph, bertscore, similarity, bleu)

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> PerExample:
        """Compose the figures of each report."""
        parts = [part.score(predictions, references).values[:, 0] for part in self._parts]
        metrics = np.stack(parts, axis=1)
        return mean_of(np.stack([V0(metrics), V1(metrics)], axis=1), "RadCliQ-v0", "RadCliQ-v1")

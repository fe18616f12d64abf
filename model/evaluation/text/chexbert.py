"""CheXbert (Smit et al., EMNLP 2020): 14 labels of a report by a BERT, their F1, and its embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BertTokenizer

from model.errors import WeightsError
from model.evaluation.text.known_words import require_words
from model.evaluation.text.label_counts import f1_of_sums, label_counts
from model.evaluation.text.metric import FloatArray, PerExample, check_pairs, mean_of, only_references
from model.tensor_files import TensorFiles

LABELS = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
    "No Finding",
)
"""In the order of the heads."""

FIVE = tuple(
    LABELS.index(label)
    for label in ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
)
"""The labels that CheXpert's competition was judged by."""

BLANK, POSITIVE, NEGATIVE, UNCERTAIN = range(4)
"""What a head tells, by its largest output; that of `No Finding` knows the first two only."""

_LONGEST = 512
_BATCH = 32


class ChexbertF1:
    """F1 with positive and uncertain taken for present, as package f1chexbert and published tables do."""

    def __init__(self, labeler: "Chexbert") -> None:
        self._labeler = labeler

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> PerExample:
        """Count hits, false alarms and misses of each label."""
        check_pairs(predictions, references)
        present = [
            np.isin(self._labeler.read(texts).classes, (POSITIVE, UNCERTAIN))
            for texts in (predictions, only_references(references))
        ]
        figures = tuple(f"CheXbert {kind} F1-{number}" for number in (14, 5) for kind in ("micro", "macro"))
        return PerExample(figures, label_counts(*present), f1_of_sums(range(len(LABELS)), FIVE))


class ChexbertSimilarity:
    """Mean cosine of the embeddings of prediction and reference, `s_emb` of CXR-Report-Metric."""

    def __init__(self, labeler: "Chexbert") -> None:
        self._labeler = labeler

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> PerExample:
        """Compare each example."""
        check_pairs(predictions, references)
        one, other = (
            self._labeler.read(texts).embeddings for texts in (predictions, only_references(references))
        )
        norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        return mean_of((np.sum(one * other, axis=1) / norms)[:, None], "CheXbert similarity")


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """What CheXbert says of N texts."""

    classes: NDArray[np.int64]
    """(N, 14): `BLANK`, `POSITIVE`, `NEGATIVE` or `UNCERTAIN`."""
    embeddings: FloatArray
    """(N, C): last layer at the first token."""


class Chexbert:
    """Reads texts, each once however often it is asked."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        """Open a folder that `chexbert_conversion` wrote.

        Raises:
            WeightsError: a file is not readable, or its tensors are not those of a CheXbert.
        """
        try:
            config = BertConfig.from_json_file(folder / "config.json")
            self._network = Network(config)
            self._network.load_state_dict(dict(TensorFiles(folder)))
            self._tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True)
        except (RuntimeError, OSError, ValueError) as exc:
            raise WeightsError(f"{folder.name} does not hold a CheXbert as its conversion writes it") from exc
        require_words(len(self._tokenizer), config.vocab_size, folder)
        self._network.to(device).eval()
        self._device = device
        self._known: dict[str, tuple[NDArray[np.int64], FloatArray]] = {}

    def read(self, texts: Sequence[str]) -> Labelled:
        """Label and embed texts; white space is folded, and what exceeds 512 tokens is cut off."""
        texts = [" ".join(text.split()) for text in texts]
        new = sorted(set(texts) - self._known.keys(), key=lambda text: (len(text), text))
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            self._known.update(zip(batch, zip(*self._read(batch), strict=True), strict=True))
        classes, embeddings = zip(*(self._known[text] for text in texts), strict=True)
        return Labelled(np.array(classes), np.array(embeddings))

    @torch.inference_mode()
    def _read(self, texts: list[str]) -> tuple[NDArray[np.int64], FloatArray]:
        tokens: Any = self._tokenizer(
            texts, padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt"
        ).to(self._device)
        embeddings, classes = self._network(tokens.input_ids, tokens.attention_mask)
        return classes.cpu().numpy(), embeddings.double().cpu().numpy()


class Network(nn.Module):
    """A BERT with a linear head for each label, under the published names."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = BertModel(config)
        outputs = [4] * (len(LABELS) - 1) + [2]
        self.linear_heads = nn.ModuleList(nn.Linear(config.hidden_size, number) for number in outputs)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C) embeddings and (B, 14) classes of (B, T) tokens."""
        embeddings = self.bert(input_ids, attention_mask=attention_mask)[0][:, 0]
        classes = [head(embeddings).argmax(dim=1) for head in self.linear_heads]
        return embeddings, torch.stack(classes, dim=1)

"""BERTScore (Zhang et al., ICLR 2020): each token is matched with its most similar one in the other text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer

from model.errors import NotComputedError, WeightsError
from model.evaluation.text.known_words import require_words
from model.evaluation.text.metric import FloatArray, PerExample, check_pairs, mean_of

_SPACES = re.compile(" +")
_LONGEST = 512
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Setting:
    """Which encoder a published figure is made with."""

    encoder: str
    layers: int
    """How many layers embed the tokens, as package bert-score chose them."""
    baseline: tuple[float, float, float]
    """Precision, recall and F1 of unrelated sentences, which rescaling maps to 0 (bert-score 0.3.13)."""


DISTILROBERTA = Setting("distilroberta-base", 5, (0.84732, 0.84759504, 0.8473319))
"""What RadCliQ is made of and CXR-Report-Metric reports."""
ROBERTA_LARGE = Setting("roberta-large", 17, (0.83150584, 0.8314941, 0.83122575))
"""What bert-score takes for English by default."""


class BertScore:
    """F1 without idf weights, rescaled; of several references the best counts."""

    def __init__(self, matcher: "TokenMatcher", figure: str = "BERTScore") -> None:
        self._matcher = matcher
        self._figure = figure

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> PerExample:
        """Score each example."""
        check_pairs(predictions, references)
        pairs = [
            (text, reference)
            for text, given in zip(predictions, references, strict=True)
            for reference in given
        ]
        starts = np.cumsum([0, *(len(given) for given in references[:-1])])
        best: FloatArray = np.maximum.reduceat(self._matcher(pairs)[:, 2], starts)
        return mean_of(best[:, None], self._figure)


class TokenMatcher:
    """Compares pairs of texts, each pair once however often it is asked.

    Runs of spaces count as one, as in CXR-Report-Metric; texts are cut at 512 tokens.
    """

    def __init__(self, folder: Path, setting: Setting, device: str = "cpu") -> None:
        """Open an encoder as transformers writes it.

        Raises:
            NotComputedError: it has fewer layers than the setting takes.
            WeightsError: transformers cannot open it, or it has no weights as safetensors.
        """
        self._tokenizer, self._encoder = _opened(folder, setting)
        self._encoder.to(device).eval()
        self._device = device
        self._baseline = np.array(setting.baseline)
        self._known: dict[tuple[str, str], FloatArray] = {}

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        """(N, 3): rescaled precision, recall and F1 of N pairs of prediction and reference."""
        pairs = [(_clean(prediction), _clean(reference)) for prediction, reference in pairs]
        new = sorted(set(pairs) - self._known.keys(), key=lambda pair: (len(pair[0]) + len(pair[1]), pair))
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            self._known.update(zip(batch, self._match(batch), strict=True))
        return (np.array([self._known[pair] for pair in pairs]) - self._baseline) / (1 - self._baseline)

    @torch.inference_mode()
    def _match(self, pairs: Sequence[tuple[str, str]]) -> Iterator[FloatArray]:
        predicted, counted, there = self._embed([prediction for prediction, _ in pairs])
        expected, counted_too, there_too = self._embed([reference for _, reference in pairs])
        alike = predicted @ expected.transpose(1, 2)
        alike = alike.masked_fill(~(there[:, :, None] & there_too[:, None, :]), -torch.inf)
        precision = _mean_where(alike.amax(dim=2), counted)
        recall = _mean_where(alike.amax(dim=1), counted_too)
        # An empty text has nothing in common with any other, be it empty too.
        both = counted.any(dim=1) & counted_too.any(dim=1)
        precision, recall = precision * both, recall * both
        f1 = torch.nan_to_num(2 * precision * recall / (precision + recall), nan=0.0)
        yield from torch.stack([precision, recall, f1], dim=1).double().cpu().numpy()

    def _embed(self, texts: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, C) embeddings of length 1; (B, T) which of them count, and which are there to be matched."""
        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt"
        ).to(self._device)
        embedded: Tensor = self._encoder(tokens.input_ids, attention_mask=tokens.attention_mask)[0]
        there: Tensor = tokens.attention_mask.bool()
        marks = (tokens.input_ids == self._tokenizer.cls_token_id) | (
            tokens.input_ids == self._tokenizer.sep_token_id
        )
        return torch.nn.functional.normalize(embedded, dim=-1), there & ~marks, there


def _opened(folder: Path, setting: Setting) -> tuple[Any, Any]:
    """Tokenizer and encoder of as many layers as the setting takes; no code of the folder is run."""
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **local)
        if config.num_hidden_layers < setting.layers:
            raise NotComputedError(
                f"{folder.name} has {config.num_hidden_layers} layers; {setting.encoder} is read at layer "
                f"{setting.layers}"
            )
        config.num_hidden_layers = setting.layers
        tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True, **local)
        encoder, loaded = AutoModel.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            add_pooling_layer=False,
            output_loading_info=True,
            **local,
        )
    except (OSError, ValueError, SafetensorError) as exc:
        raise WeightsError(f"{folder.name} does not hold {setting.encoder} as transformers opens it") from exc
    if loaded["missing_keys"]:
        # transformers would draw them at random.
        raise WeightsError(f"{folder.name} lacks {len(loaded['missing_keys'])} tensors of {setting.encoder}")
    require_words(len(tokenizer), config.vocab_size, folder)
    return tokenizer, encoder


def _mean_where(values: Tensor, counted: Tensor) -> Tensor:
    """(B,): means of (B, T) values where they count; 0 where none does."""
    total = values.masked_fill(~counted, 0.0).sum(dim=1)
    return total / counted.sum(dim=1).clamp(min=1)


def _clean(text: str) -> str:
    return _SPACES.sub(" ", text).strip()

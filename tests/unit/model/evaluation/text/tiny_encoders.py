"""Encoders of a few thousand random numbers, in the layout in which the published ones lie."""

import json
import re
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import BertConfig, BertModel, RobertaConfig, RobertaForMaskedLM

from tests.unit.model.evaluation.text.report_pairs import PAIRS

TEXTS = [text for pair in PAIRS for text in pair]
SIZES = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 1, "intermediate_size": 37}


def write_vocabulary(path: Path) -> int:
    """Write pieces that split the words of the shared reports; return how many there are."""
    words = sorted({word for text in TEXTS for word in re.findall(r"\w+|[^\w\s]", text.lower())})
    letters = sorted({letter for word in words for letter in word})
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = dict.fromkeys([*marks, *letters, *(f"##{letter}" for letter in letters), *words[::2]])
    path.write_text("\n".join(pieces) + "\n", encoding="utf-8")
    return len(pieces)


def bert_config(words: int) -> BertConfig:
    return BertConfig(vocab_size=words, **SIZES)


def write_bert(folder: Path) -> Path:
    """A BERT of three layers."""
    folder.mkdir()
    words = write_vocabulary(folder / "vocab.txt")
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 512}')
    torch.manual_seed(1)
    BertModel(bert_config(words)).save_pretrained(folder)
    return folder


def write_roberta(folder: Path, layers: int = 3) -> Path:
    """A RoBERTa with a byte-level vocabulary, under a head that names words, as it is published."""
    folder.mkdir()
    tokenizer = ByteLevelBPETokenizer()
    marks = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(TEXTS, vocab_size=400, special_tokens=marks, show_progress=False)
    tokenizer.save_model(str(folder))
    named = {"model_max_length": 512, "tokenizer_class": "RobertaTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))
    torch.manual_seed(2)
    sizes = {**SIZES, "num_hidden_layers": layers}
    config = RobertaConfig(
        vocab_size=400, max_position_embeddings=514, type_vocab_size=1, pad_token_id=1, **sizes
    )
    RobertaForMaskedLM(config).save_pretrained(folder)
    return folder

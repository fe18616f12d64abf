"""Directories laid out as a MedVersa checkpoint is released, with weights of our own and of a small size."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.released_keys import ALIASES, is_derived, published_name
from model.families.medversa_networks.sizes import RELEASED, RELEASED_V1, MedVersaSizes
from model.families.medversa_networks.tokenizer import MedVersaTokenizer
from tests.small_medversa import random_network

PIECES = 400
VOCABULARY = PIECES + 5
LANGUAGE = "llama_model.base_model.model."
LLAMA_CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 32,
    "num_attention_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_theta": 5000.0,
    "max_position_embeddings": 900,
}
_TEXTS = [
    "Segment the liver in <img0>. Is there any nodule? Yes. No. The segmentation mask of left lung is.",
    "###Human: ###Assistant: How would you characterize the findings from <img0><img1>? a ## b # c ###",
    "pleural effusion, pneumothorax, right lung, heart, spleen, kidney, pancreas. Heart size is normal.",
]


def released_sizes(generation: str) -> MedVersaSizes:
    """As inferred from the directory: what no shape tells is as published."""
    published = RELEASED_V1 if generation == "v1" else RELEASED
    return replace(
        published,
        swin_patch=8,
        swin_embed=16,
        swin_depths=(1, 2, 1),
        swin_heads=(1, 2, 4),
        unet3d_widths=(16, 16, 16, 16, 32),
        unet2d_width=16,
        unet2d_decoder=(48, 32, 16, 16, 16),
        hidden=32,
        feed_forward=48,
        layers=2,
        heads=2,
        vocabulary=VOCABULARY,
        context=900,
        rms_eps=1e-6,
        rope_theta=5000.0,
        detection_hidden=8,
    )


def write_sentencepiece(folder: Path) -> Path:
    """Learn a `tokenizer.model` of Llama's kind: byte pairs, bytes to fall back on, no normalisation."""
    from sentencepiece import SentencePieceTrainer

    SentencePieceTrainer.Train(
        sentence_iterator=iter(_TEXTS * 30),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=PIECES,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        character_coverage=1.0,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (folder / "tokenizer.vocab").unlink()
    return folder / "tokenizer.model"


def published_tensors(network: MedVersaNetwork) -> dict[str, Tensor]:
    """Tensors by published name, with the leftovers that a release has."""
    named = {published_name(n): t.clone() for n, t in network.state_dict().items()}
    for layer in range(network.sizes.layers):
        named[f"{LANGUAGE}model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = torch.ones(8)
    stage = "visual_encoder_2d.encoder.layers.0.blocks.0.attention.self"
    named[f"{stage}.relative_position_index"] = torch.zeros(49, 49, dtype=torch.long)
    return named


def small_release(folder: Path, generation: str = "v0") -> dict[str, Tensor]:
    """Write a whole release of small size; return its tensors."""
    tensors = published_tensors(random_network(released_sizes(generation)))
    write_release(folder, tensors)
    return tensors


def write_release(folder: Path, tensors: dict[str, Tensor], config: dict[str, Any] | None = None) -> None:
    """Write tensors, the Llama's `config.json` and a tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(LLAMA_CONFIG if config is None else config))
    if not (folder / "tokenizer.model").exists():
        write_sentencepiece(folder)


def teach_to_write(tensors: dict[str, Tensor], words: MedVersaTokenizer, answer: list[str]) -> None:
    """Change the language model so that each token of an answer follows the one before, then the end mark.

    Layers still add a little to every state, so that all weights matter to boxes and masks.
    """
    generator = torch.Generator().manual_seed(3)
    embedding = torch.randn(VOCABULARY, 32, generator=generator)
    head = torch.randn(VOCABULARY, 32, generator=generator) * 0.01
    end = words.stop_sequences[1]
    ids = [words.encode("###Assistant:")[-1], *(i for t in answer for i in words.encode(t)), *end]
    for before, after in pairwise(ids):
        head[after] += 3 * embedding[before] / embedding[before].norm()
    for name in tensors:
        if name.endswith(("o_proj.weight", "down_proj.weight")) and name.startswith(LANGUAGE):
            tensors[name] *= 0.3
    tensors[f"{LANGUAGE}model.embed_tokens.weight"] = embedding
    tensors[f"{LANGUAGE}lm_head.0.weight"] = head


def as_peft(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names since peft 0.3: a named adapter."""
    return {
        n.replace(".lora_A.", ".lora_A.default.").replace(".lora_B.", ".lora_B.default."): t
        for n, t in tensors.items()
    }


def as_recent_peft(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names of recent peft: the base layer inside its wrapping, a plain head, no rotary buffers."""
    wrapped = {
        n.replace("q_proj.weight", "q_proj.base_layer.weight").replace(
            "v_proj.weight", "v_proj.base_layer.weight"
        )
        if n.startswith(LANGUAGE)
        else n: t
        for n, t in as_peft(tensors).items()
        if "inv_freq" not in n
    }
    return {n.replace("lm_head.0.", "lm_head."): t for n, t in wrapped.items()}


def with_aliases(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Only the second names of embedding and head, as a writer that drops shared tensors may leave them."""
    second = {published: alias for alias, published in ALIASES.items()}
    return {second.get(n, n): t for n, t in tensors.items()}


def merged(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The language model with its adapter added to it, out of any wrapping."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if ".lora_" in name or "inv_freq" in name:
            continue
        start = name.removesuffix(".weight")
        if f"{start}.lora_A.weight" in tensors:
            tensor = tensor + tensors[f"{start}.lora_B.weight"] @ tensors[f"{start}.lora_A.weight"]
        plain = name.replace(LANGUAGE, "llama_model.").replace("lm_head.0.", "lm_head.")
        found[plain] = tensor
    return found


def split_base(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Adapter and vision under published names; language model as `transformers` names it."""
    base = {n: t for n, t in tensors.items() if n.startswith(LANGUAGE) and ".lora_" not in n}
    rest = {n: t for n, t in tensors.items() if n not in base}
    return rest, {n.removeprefix(LANGUAGE).replace("lm_head.0.", "lm_head."): t for n, t in base.items()}


def needed(tensors: dict[str, Tensor]) -> Iterator[str]:
    """Names that no release may lack."""
    return (name for name in tensors if not is_derived(name))

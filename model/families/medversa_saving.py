"""Writes MedVersa weights as a folder whose parts the libraries of the ecosystem open on their own."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from transformers import GenerationConfig

from model.errors import WeightsError
from model.families.medversa_loading import empty_network
from model.families.medversa_networks.checkpoint import misfits
from model.families.medversa_networks.network import MedVersaNetwork, llama_config, lora_config
from model.families.medversa_networks.released_keys import (
    EMBEDDING,
    is_adapter,
    is_derived,
    is_language_model,
    published_name,
    to_adapter,
    to_llama,
)
from model.families.medversa_networks.sizes import MedVersaSizes
from model.families.medversa_networks.tokenizer import END, MedVersaTokenizer
from model.families.medversa_opening import ADAPTER_CONFIG, OpenedWeights
from model.tensor_files import SHARD_BYTES, Source, source_of, write_tensors
from model.weights import (
    ADAPTER,
    LANGUAGE_MODEL,
    TOKENIZER_FILE,
    Progress,
    WeightsConfig,
    unseen,
    with_hashes,
    write_config,
)


def save_weights(
    folder: Path,
    network: MedVersaNetwork,
    config: WeightsConfig,
    dtype: torch.dtype | None = torch.float16,
) -> WeightsConfig:
    """Write a network; `tokenizer.json` must lie in the folder.

    Args:
        folder: is made.
        network: on any device.
        config: what is known of it.
        dtype: of every tensor; None keeps each as it is.

    Returns:
        `config` with sizes, generation and hashes filled in, as it was written.
    """
    stored = {
        published_name(name): source_of(tensor.to(dtype).contiguous())
        for name, tensor in network.state_dict().items()
        if not is_derived(published_name(name))
    }
    _write_parts(folder, stored)
    tokenizer = MedVersaTokenizer.from_file(folder / TOKENIZER_FILE)
    _describe(folder, network.sizes, tokenizer, dtype or network.llama.dtype)
    return _finished(folder, replace(config, language_model=LANGUAGE_MODEL), network.sizes)


def convert(
    opened: OpenedWeights,
    folder: Path,
    *,
    refer_to: Path | None = None,
    shard: int = SHARD_BYTES,
    progress: Progress = unseen,
) -> WeightsConfig:
    """Write a released checkpoint in our layout, every tensor as it is.

    Args:
        opened: the checkpoint.
        folder: must not exist or be empty; `config.json` comes last, so that half a folder is known as one.
        refer_to: folder of the base language model, to name it instead of writing a copy.
        shard: largest file in bytes.
        progress: is told what has been written and hashed.

    Raises:
        WeightsError: tensors are missing, unknown or of another shape, the folder is not empty, or the base
        is not the whole language model.
    """
    if folder.exists() and any(folder.iterdir()):
        raise WeightsError(f"{folder.name} is not empty")
    if problems := sorted(misfits(empty_network(opened.sizes), opened.checkpoint)):
        raise WeightsError(f"the weights do not fit, {len(problems)} tensors; {'; '.join(problems)}")
    tensors = {name: opened.checkpoint.source(name) for name in sorted(opened.checkpoint)}
    if refer_to is not None:
        if not opened.checkpoint.base_is_whole:
            raise WeightsError("the checkpoint changes the base language model, so a copy is needed")
        tensors = {name: source for name, source in tensors.items() if not is_language_model(name)}
    _write_parts(folder, tensors, shard, progress)
    opened.tokenizer.tokenizer.save(str(folder / TOKENIZER_FILE))
    dtype = opened.checkpoint.tensor(EMBEDDING).dtype
    _describe(folder, opened.sizes, opened.tokenizer, dtype, copied=refer_to is None)
    place = LANGUAGE_MODEL if refer_to is None else str(refer_to.resolve())
    return _finished(folder, replace(opened.config, language_model=place), opened.sizes, progress)


def _write_parts(
    folder: Path, tensors: Mapping[str, Source], shard: int = SHARD_BYTES, progress: Progress = unseen
) -> None:
    parts: dict[str, dict[str, Source]] = {"": {}, LANGUAGE_MODEL: {}, ADAPTER: {}}
    for name, source in tensors.items():
        if is_language_model(name):
            parts[LANGUAGE_MODEL][to_llama(name)] = source
        elif is_adapter(name):
            parts[ADAPTER][to_adapter(name)] = source
        else:
            parts[""][name] = source
    for place, own in parts.items():
        if own:
            stem = "adapter_model" if place == ADAPTER else "model"
            write_tensors(folder / place, stem, own, shard=shard, progress=progress)


def _describe(
    folder: Path,
    sizes: MedVersaSizes,
    tokenizer: MedVersaTokenizer,
    dtype: torch.dtype,
    *,
    copied: bool = True,
) -> None:
    """Write what `transformers` and `peft` want to know of each part."""
    end = tokenizer.tokenizer.token_to_id(END)
    generation = GenerationConfig(
        bos_token_id=tokenizer.begin, eos_token_id=end, max_new_tokens=sizes.max_new_tokens, do_sample=False
    )
    generation.save_pretrained(folder)
    if copied:
        llama = llama_config(sizes)
        llama.architectures, llama.dtype = ["LlamaForCausalLM"], dtype
        llama.bos_token_id, llama.eos_token_id = tokenizer.begin, end
        llama.save_pretrained(folder / LANGUAGE_MODEL)
    if sizes.lora_rank:
        lora = lora_config(sizes).to_dict()
        lora |= {"base_model_name_or_path": LANGUAGE_MODEL, "inference_mode": True}
        lora["target_modules"] = sorted(lora["target_modules"])  # a set: same weights, same file
        (folder / ADAPTER / ADAPTER_CONFIG).write_text(json.dumps(lora, indent=1) + "\n", encoding="utf-8")


def _finished(
    folder: Path, config: WeightsConfig, sizes: MedVersaSizes, progress: Progress = unseen
) -> WeightsConfig:
    described = replace(config, sizes=sizes.to_json(), generation=sizes.generation)
    hashed = with_hashes(folder, described, progress)
    write_config(folder, hashed)
    return hashed

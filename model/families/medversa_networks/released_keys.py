"""One name for each tensor: that of the published checkpoint, in its peft 0.2.0 form.

Checkpoints of other library versions, a merged language model, one that `transformers` wrote, an adapter that
`peft` wrote and our own network have other names for the same tensors; all are read under the published name.
"""

import re

LANGUAGE = "llama_model.base_model.model."
"""What the published names of the language model and of its adapter begin with."""

EMBEDDING = f"{LANGUAGE}model.embed_tokens.weight"
HEAD = f"{LANGUAGE}lm_head.0.weight"

ALIASES = {
    "embed_tokens.weight": EMBEDDING,
    "embed_states.weight": HEAD,
}
"""Second names that the published state dict has for two tensors of the language model."""

_DERIVED = re.compile(r"\.(rotary_emb\.inv_freq|relative_position_index|num_batches_tracked)$")
_SWIN = r"^(visual_encoder_2d(?:_vqa)?\..*"

# Another form -> published form; applied in order.
_RENAMES = tuple(
    (re.compile(other), published)
    for other, published in (
        (rf"{_SWIN}\.attention)\.q_proj\.", r"\1.self.query."),
        (rf"{_SWIN}\.attention)\.k_proj\.", r"\1.self.key."),
        (rf"{_SWIN}\.attention)\.v_proj\.", r"\1.self.value."),
        (rf"{_SWIN}\.attention)\.o_proj\.", r"\1.output.dense."),
        (
            rf"{_SWIN}\.attention)\.relative_position_bias\.relative_position_bias_table$",
            r"\1.self.relative_position_bias_table",
        ),
        (rf"{_SWIN})\.mlp\.fc1\.", r"\1.intermediate.dense."),
        (rf"{_SWIN})\.mlp\.fc2\.", r"\1.output.dense."),
        (r"^llama_model\.(?=model\.|lm_head\.)", LANGUAGE),
        (r"\.base_layer\.weight$", ".weight"),
        (r"\.(lora_[AB])\.default\.weight$", r".\1.weight"),
        (rf"^{re.escape(LANGUAGE)}lm_head\.weight$", HEAD),
    )
)


def published_name(name: str) -> str:
    """Name a tensor of a checkpoint, or of `MedVersaNetwork.state_dict()`, as the published one does."""
    for other, published in _RENAMES:
        name = other.sub(published, name)
    return ALIASES.get(name, name)


def from_llama(name: str) -> str:
    """Name a tensor of a plain Llama directory (`model.layers.0…`) as the published checkpoint does."""
    return published_name(f"llama_model.{name}")


def to_llama(published: str) -> str:
    """Name a tensor of the language model as a plain Llama directory does."""
    return published.removeprefix(LANGUAGE).replace("lm_head.0.", "lm_head.")


def from_adapter(name: str) -> str:
    """Name a tensor of a peft directory (`base_model.model…`) as the published checkpoint does."""
    return published_name(f"llama_model.{name}")


def to_adapter(published: str) -> str:
    """Name a tensor of the adapter as a peft directory does."""
    return published.removeprefix("llama_model.")


def is_derived(name: str) -> bool:
    """Whether a tensor is computed from the sizes alone or counts steps: nothing that was learned."""
    return _DERIVED.search(name) is not None


def is_adapter(published: str) -> bool:
    """Whether a tensor belongs to the LoRA of the language model."""
    return ".lora_" in published


def is_language_model(published: str) -> bool:
    """Whether a tensor belongs to the language model without its LoRA."""
    return published.startswith(LANGUAGE) and not is_adapter(published)

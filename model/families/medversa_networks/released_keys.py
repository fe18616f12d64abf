"""Names of the published checkpoint and of today's libraries for the same tensors.

Weights of every size are stored under the published names (peft 0.2.0 form), so a released checkpoint and the
demonstration weights enter through the same door.
"""

import re

ALIASES = {
    "embed_tokens.weight": "llama_model.base_model.model.model.embed_tokens.weight",
    "embed_states.weight": "llama_model.base_model.model.lm_head.0.weight",
}
"""Second names that the published state dict has for two tensors of the language model."""

_DERIVED = re.compile(r"\.(rotary_emb\.inv_freq|relative_position_index)$")

# Today's name -> published name; applied in order.
_RENAMES = tuple(
    (re.compile(today), published)
    for today, published in (
        (r"^(visual_encoder_2d\..*\.attention)\.([qkv])_proj\.", r"\1.self.\2_proj."),
        (r"\.self\.q_proj\.", ".self.query."),
        (r"\.self\.k_proj\.", ".self.key."),
        (r"\.self\.v_proj\.", ".self.value."),
        (r"^(visual_encoder_2d\..*\.attention)\.o_proj\.", r"\1.output.dense."),
        (
            r"\.attention\.relative_position_bias\.relative_position_bias_table$",
            ".attention.self.relative_position_bias_table",
        ),
        (r"^(visual_encoder_2d\..*)\.mlp\.fc1\.", r"\1.intermediate.dense."),
        (r"^(visual_encoder_2d\..*)\.mlp\.fc2\.", r"\1.output.dense."),
        (r"\.base_layer\.weight$", ".weight"),
        (r"\.(lora_[AB])\.default\.weight$", r".\1.weight"),
        (
            r"^llama_model\.base_model\.model\.lm_head\.weight$",
            "llama_model.base_model.model.lm_head.0.weight",
        ),
    )
)


def published_name(name: str) -> str:
    """Name a tensor of `MedVersaNetwork.state_dict()` as the published checkpoint does."""
    for today, published in _RENAMES:
        name = today.sub(published, name)
    return name


def is_derived(name: str) -> bool:
    """Whether a published tensor is computed from the sizes alone and carries nothing that was learned."""
    return _DERIVED.search(name) is not None

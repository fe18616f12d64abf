"""Sizes of a released checkpoint, from the shapes of its tensors and what is said of its language model."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from model.errors import WeightsError
from model.families.medversa_networks.released_keys import EMBEDDING, LANGUAGE
from model.families.medversa_networks.sizes import RELEASED, RELEASED_V1, MedVersaSizes

Shapes = Mapping[str, tuple[int, ...]]

PUBLISHED_LANGUAGE_MODEL = {
    "hidden_size": RELEASED.hidden,
    "num_attention_heads": RELEASED.heads,
    "rms_norm_eps": RELEASED.rms_eps,
    "rope_theta": RELEASED.rope_theta,
    "max_position_embeddings": RELEASED.context,
}
"""Llama-2-7b-chat in the words of its `config.json`."""

_LAYER = f"{LANGUAGE}model.layers.0."
_ADAPTER = f"{_LAYER}self_attn.q_proj.lora_A.weight"


def generation_of(names: Mapping[str, object]) -> str:
    """`v1` if there is any tensor of the second 2D encoder."""
    return "v1" if any(name.startswith("visual_encoder_2d_vqa.") for name in names) else "v0"


def inferred_sizes(shapes: Shapes, language_model: Mapping[str, Any], alpha: int | None) -> MedVersaSizes:
    """Read sizes off the shapes; what no shape tells is as published.

    Args:
        shapes: by published name.
        language_model: `config.json` of the Llama; empty where nothing is said of it.
        alpha: strength of the LoRA, if it is said.

    Raises:
        WeightsError: tensors that tell a size are missing, the language model is not the published one and
        nothing is said of it, or sizes do not go together.
    """
    try:
        sizes = _from_shapes(shapes)
    except KeyError as exc:
        raise WeightsError(f"no {exc.args[0]}: this is not a whole MedVersa checkpoint") from exc
    except (IndexError, ValueError) as exc:
        raise WeightsError("the shapes of the tensors are not those of a MedVersa") from exc
    sizes = _with_language_model(sizes, language_model)
    if sizes.lora_rank:
        sizes = replace(sizes, lora_alpha=_alpha(sizes.lora_rank, alpha))
    _check(sizes)
    return sizes


def _from_shapes(shapes: Shapes) -> MedVersaSizes:
    published = RELEASED_V1 if generation_of(shapes) == "v1" else RELEASED
    patches = shapes["visual_encoder_2d.embeddings.patch_embeddings.projection.weight"]
    stages = range(_count(shapes, r"visual_encoder_2d\.encoder\.layers\.(\d+)\."))
    depths = tuple(
        _count(shapes, rf"visual_encoder_2d\.encoder\.layers\.{s}\.blocks\.(\d+)\.") for s in stages
    )
    tables = [
        shapes[f"visual_encoder_2d.encoder.layers.{s}.blocks.0.attention.self.relative_position_bias_table"]
        for s in stages
    ]
    return replace(
        published,
        swin_patch=patches[2],
        swin_embed=patches[0],
        swin_depths=depths,
        swin_heads=tuple(table[1] for table in tables),
        swin_window=(math.isqrt(tables[0][0]) + 1) // 2,
        unet3d_widths=(
            shapes["visual_encoder_3d.conv.double_conv.0.weight"][0],
            *(shapes[f"visual_encoder_3d.enc{n}.encoder.1.double_conv.3.weight"][0] for n in range(1, 5)),
        ),
        unet2d_width=shapes["model_seg_2d.encoder.conv1.weight"][0],
        unet2d_decoder=tuple(shapes[f"model_seg_2d.decoder.blocks.{n}.conv2.0.weight"][0] for n in range(5)),
        hidden=shapes[EMBEDDING][1],
        vocabulary=shapes[EMBEDDING][0],
        layers=_count(shapes, rf"{re.escape(LANGUAGE)}model\.layers\.(\d+)\."),
        feed_forward=shapes[f"{_LAYER}mlp.gate_proj.weight"][0],
        lora_rank=shapes[_ADAPTER][0] if _ADAPTER in shapes else 0,
        detection_hidden=shapes["text_det.1.weight"][0],
    )


def _count(shapes: Shapes, pattern: str) -> int:
    """How many numbers, from 0, the names have at the group of the pattern."""
    return 1 + max((int(m[1]) for name in shapes if (m := re.match(pattern, name))), default=-1)


def _with_language_model(sizes: MedVersaSizes, said: Mapping[str, Any]) -> MedVersaSizes:
    if not said and sizes.hidden == RELEASED.hidden:
        said = PUBLISHED_LANGUAGE_MODEL
    try:
        if said["hidden_size"] != sizes.hidden:
            raise WeightsError(
                f"the language model's config.json says hidden_size {said['hidden_size']}, "
                f"its tensors {sizes.hidden}"
            )
        return replace(
            sizes,
            heads=said["num_attention_heads"],
            rms_eps=said["rms_norm_eps"],
            rope_theta=_rope_theta(said),
            context=said["max_position_embeddings"],
        )
    except KeyError as exc:
        raise WeightsError(
            f"no tensor tells {exc.args[0]} of a language model of width {sizes.hidden}: put the config.json "
            "of the Llama beside the checkpoint, or name the folder of the base language model"
        ) from exc


def _rope_theta(said: Mapping[str, Any]) -> float:
    """Base of the rotary embedding in the words of old and new config files; 10000 where none is given."""
    parameters = said.get("rope_parameters") or said.get("rope_scaling") or {}
    kind = parameters.get("rope_type", parameters.get("type", "default"))
    if kind != "default":
        raise WeightsError(f"rotary embedding of type {kind}; MedVersa's Llama has the default one")
    return float(parameters.get("rope_theta") or said.get("rope_theta") or RELEASED.rope_theta)


def _alpha(rank: int, said: int | None) -> int:
    if said is not None:
        return said
    if rank == RELEASED.lora_rank:
        return RELEASED.lora_alpha
    raise WeightsError(
        f"no tensor tells the strength of a LoRA of rank {rank}: "
        "put its adapter_config.json beside the checkpoint"
    )


def _check(sizes: MedVersaSizes) -> None:
    """Refuse sizes from which no network can be built, so that shapes are compared name by name after it."""
    for what, whole, part in (
        ("width and heads of the language model", sizes.hidden, sizes.heads),
        (
            "width and groups of the 2D U-Net",
            math.gcd(sizes.unet2d_width, *sizes.unet2d_decoder),
            sizes.unet2d_groups,
        ),
        ("width and groups of the 3D U-Net", math.gcd(*sizes.unet3d_widths), sizes.unet3d_groups),
    ):
        if part < 1 or whole % part:
            raise WeightsError(f"{what} do not go together: {whole} and {part}")

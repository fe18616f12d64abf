"""How large each part of a MedVersa network is; the structure is the same at every size."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class VqaSizes:
    """What generation v1 adds: a second encoder, which sees planar images larger, and a second 2D U-Net.

    Both have the widths of their v0 counterparts.
    """

    image_size: int
    """Side of the square that a planar image is resized to for the second encoder, pixels."""
    visual_side: int
    """Visual tokens of that encoder are `visual_side` squared, row-major."""

    @property
    def visual_tokens(self) -> int:
        return self.visual_side**2


@dataclass(frozen=True, slots=True)
class MedVersaSizes:
    """Sizes of one MedVersa network; the defaults of no field are hidden: a preset names all of them."""

    image_size: int
    """Side of the square that a planar image is resized to for the 2D encoder, pixels."""
    swin_patch: int
    swin_embed: int
    """Width of the first Swin stage; each further stage doubles it."""
    swin_depths: tuple[int, ...]
    swin_heads: tuple[int, ...]
    swin_window: int
    visual_side: int
    """Visual tokens per image are `visual_side` squared, row-major."""
    volume_grid: tuple[int, int, int]
    """(depth, i, j) voxels that a volume is resampled to."""
    unet3d_widths: tuple[int, int, int, int, int]
    """Channels of the five levels of the 3D U-Net, finest first."""
    unet3d_groups: int
    """Groups of every GroupNorm of the 3D U-Net and of its text fusion."""
    segmentation_size: int
    """Side of the square that a planar image is resized to for the 2D U-Net, pixels."""
    unet2d_width: int
    """Channels of the ResNet-18 stem; its four stages have 1, 2, 4 and 8 times as many."""
    unet2d_decoder: tuple[int, int, int, int, int]
    unet2d_groups: int
    """Groups of every GroupNorm of the 2D U-Net and of its text fusion."""
    hidden: int
    """Width of the language model."""
    feed_forward: int
    layers: int
    heads: int
    vocabulary: int
    """Tokens of the language model, the five added ones included."""
    context: int
    """Longest sequence in tokens: prefix, question and answer together."""
    rms_eps: float
    rope_theta: float
    lora_rank: int
    """0 where the language model has no adapter, e.g. since it was merged into the weights."""
    lora_alpha: int
    lora_dropout: float
    detection_hidden: int
    max_new_tokens: int
    """Longest answer in tokens."""
    max_images: int
    """Most images of one request."""
    vqa: VqaSizes | None
    """None in generation v0."""

    @property
    def generation(self) -> str:
        return "v0" if self.vqa is None else "v1"

    @property
    def visual_tokens(self) -> int:
        return self.visual_side**2

    @property
    def swin_width(self) -> int:
        """Width of the last Swin stage."""
        return self.swin_embed * 2 ** (len(self.swin_depths) - 1)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Build from parsed JSON, whose lists become tuples.

        Raises:
            TypeError: a field is missing or unknown.
        """
        read: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        if read.get("vqa") is not None:
            read["vqa"] = VqaSizes(**read["vqa"])
        return cls(**read)

    def to_json(self) -> dict[str, object]:
        return dataclasses.asdict(self)


RELEASED = MedVersaSizes(
    image_size=224,
    swin_patch=4,
    swin_embed=128,
    swin_depths=(2, 2, 18, 2),
    swin_heads=(4, 8, 16, 32),
    swin_window=7,
    visual_side=3,
    volume_grid=(64, 192, 192),
    unet3d_widths=(32, 64, 128, 256, 256),
    unet3d_groups=16,
    segmentation_size=224,
    unet2d_width=64,
    unet2d_decoder=(256, 128, 64, 32, 16),
    unet2d_groups=16,
    hidden=4096,
    feed_forward=11008,
    layers=32,
    heads=32,
    vocabulary=32005,
    context=4096,
    rms_eps=1e-5,
    rope_theta=10000.0,
    lora_rank=16,
    lora_alpha=16,
    lora_dropout=0.1,
    detection_hidden=256,
    max_new_tokens=450,
    max_images=15,
    vqa=None,
)
"""The published MedVersa v0: Swin-B, Llama-2-7b-chat, full-width U-Nets."""

RELEASED_V1 = dataclasses.replace(RELEASED, vqa=VqaSizes(image_size=512, visual_side=4))
"""The published MedVersa v1."""

DEMO = MedVersaSizes(
    image_size=224,
    swin_patch=8,
    swin_embed=48,
    swin_depths=(2, 2, 4),
    swin_heads=(4, 8, 8),
    swin_window=7,
    visual_side=7,
    volume_grid=(32, 96, 96),
    unet3d_widths=(8, 16, 32, 64, 64),
    unet3d_groups=4,
    segmentation_size=128,
    unet2d_width=16,
    unet2d_decoder=(64, 32, 16, 16, 8),
    unet2d_groups=4,
    hidden=160,
    feed_forward=448,
    layers=4,
    heads=4,
    vocabulary=1029,
    context=1024,
    rms_eps=1e-5,
    rope_theta=10000.0,
    lora_rank=16,
    lora_alpha=16,
    lora_dropout=0.0,  # the base learns as well, and drawing masks took 6 % of a step
    detection_hidden=128,
    max_new_tokens=200,
    max_images=6,
    vqa=None,
)
"""The same structure, small enough to learn phantoms and to read a study on one CPU core."""

PRESETS = {"released": RELEASED, "released-v1": RELEASED_V1, "demo": DEMO}

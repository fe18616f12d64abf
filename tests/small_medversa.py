"""A MedVersa too small to know anything, and images for it."""

from dataclasses import replace

import numpy as np
import torch

from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.sizes import DEMO, MedVersaSizes
from model.families.medversa_networks.tokenizer import MedVersaTokenizer, train_tokenizer
from model.volume import FrameKey, Geometry, PlanarImage, Volume

WORDS = ["Segment the liver in <img0>. Is there any nodule? Yes. No. The mask is <2DSEG>."] * 3
SMALL = replace(
    DEMO,
    image_size=56,
    swin_embed=8,
    swin_depths=(1, 1),
    swin_heads=(1, 2),
    swin_window=3,
    visual_side=3,
    volume_grid=(16, 32, 32),
    unet3d_widths=(4, 4, 8, 8, 8),
    unet3d_groups=2,
    segmentation_size=64,
    unet2d_width=4,
    unet2d_decoder=(8, 8, 8, 4, 4),
    unet2d_groups=2,
    hidden=16,
    feed_forward=32,
    layers=2,
    heads=2,
    context=160,
    lora_rank=4,
    detection_hidden=8,
    max_new_tokens=8,
    max_images=2,
)


def small_tokenizer() -> MedVersaTokenizer:
    return MedVersaTokenizer.from_tokenizer(train_tokenizer(WORDS, 320))


def random_network(sizes: MedVersaSizes, seed: int = 1) -> MedVersaNetwork:
    """Draw a network whose LoRA, tokens and running statistics matter, unlike at the start of training."""
    torch.manual_seed(seed)
    network = MedVersaNetwork(sizes).requires_grad_(False).eval()
    for name, parameter in network.named_parameters():
        if "lora_B" in name or "lm_head" in name or "embed_tokens" in name:
            parameter.normal_(std=0.5)
    for name, buffer in network.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)
    return network


def picture(seed: int = 0) -> PlanarImage:
    return PlanarImage(np.random.default_rng(seed).random((90, 70), np.float32), FrameKey("1"))


def volume() -> Volume:
    voxels = np.random.default_rng(0).normal(0, 80, (9, 40, 30)).astype(np.float32)
    return Volume(voxels, Geometry(np.diag([3.0, 1, 1, 1])), tuple(FrameKey(f"1.{k}") for k in range(9)))

"""Which vision module each tag of the language model calls."""

from collections.abc import Callable
from typing import Protocol

from torch import nn

from model.vision_modules.detection import Detection
from model.vision_modules.resnet_unet_2d import ResNetUNet2d
from model.vision_modules.segmentation_2d import Segmentation2d
from model.vision_modules.segmentation_3d import Segmentation3d
from model.vision_modules.unet_3d import UNet3d
from model.vision_modules.vision_module import VisionModule


class VisionLayers(Protocol):
    """The layers that a network offers to its vision modules, under their published names."""

    text_det: nn.Sequential
    model_seg_2d: ResNetUNet2d
    text2seg_2d: nn.Sequential
    text2seg_2d_gn: nn.GroupNorm
    visual_encoder_3d: UNet3d
    text2seg_3d: nn.Sequential
    text2seg_3d_gn: nn.GroupNorm
    segmentation_size: int


def detection(layers: VisionLayers) -> Detection:
    return Detection(layers.text_det)


def segmentation_2d(layers: VisionLayers) -> Segmentation2d:
    return Segmentation2d(
        layers.model_seg_2d, layers.text2seg_2d, layers.text2seg_2d_gn, layers.segmentation_size
    )


def segmentation_3d(layers: VisionLayers) -> Segmentation3d:
    return Segmentation3d(layers.visual_encoder_3d, layers.text2seg_3d, layers.text2seg_3d_gn)


VISION_MODULES: dict[str, Callable[[VisionLayers], VisionModule]] = {
    "<DET>": detection,
    "<2DSEG>": segmentation_2d,
    "<3DSEG>": segmentation_3d,
}

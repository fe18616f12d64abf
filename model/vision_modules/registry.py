"""Which vision module each tag of the language model calls."""

from collections.abc import Callable
from typing import Protocol

from torch import nn

from model.vision_modules.detection import Detection
from model.vision_modules.resnet_unet_2d import ResNetUNet2d
from model.vision_modules.segmentation_2d import Segmentation2d, SegmentationByModality
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
    model_sam_2d: ResNetUNet2d
    """This and the two below: generation v1 only."""
    text2sam_2d: nn.Sequential
    text2sam_2d_bn: nn.BatchNorm2d

    @property
    def generation(self) -> str: ...


def detection(layers: VisionLayers) -> Detection:
    return Detection(layers.text_det)


def segmentation_2d(layers: VisionLayers) -> Segmentation2d | SegmentationByModality:
    size = layers.segmentation_size
    first = Segmentation2d(layers.model_seg_2d, layers.text2seg_2d, layers.text2seg_2d_gn, size)
    if layers.generation == "v0":
        return first
    second = Segmentation2d(
        layers.model_sam_2d, layers.text2sam_2d, layers.text2sam_2d_bn, size, name="model_sam_2d"
    )
    return SegmentationByModality(first, second)


def segmentation_3d(layers: VisionLayers) -> Segmentation3d:
    return Segmentation3d(layers.visual_encoder_3d, layers.text2seg_3d, layers.text2seg_3d_gn)


VISION_MODULES: dict[str, Callable[[VisionLayers], VisionModule]] = {
    "<DET>": detection,
    "<2DSEG>": segmentation_2d,
    "<3DSEG>": segmentation_3d,
}

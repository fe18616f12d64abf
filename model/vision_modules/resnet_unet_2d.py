"""The 2D U-Net on a ResNet-18 that masks structures of planar images, with GroupNorm or BatchNorm."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def _norm(channels: int, groups: int | None) -> nn.Module:
    return nn.BatchNorm2d(channels) if groups is None else nn.GroupNorm(groups, channels)


class _BasicBlock(nn.Module):
    """ResNet's two-convolution block; norms keep the `bn` names of the published key list."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, groups: int | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = _norm(channels_out, groups)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = _norm(channels_out, groups)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                _norm(channels_out, groups),
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)) + shortcut)


class _ResNet18(nn.Module):
    def __init__(self, width: int, groups: int | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = _norm(width, groups)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = self._stage(width, width, 1, groups)
        self.layer2 = self._stage(width, width * 2, 2, groups)
        self.layer3 = self._stage(width * 2, width * 4, 2, groups)
        self.layer4 = self._stage(width * 4, width * 8, 2, groups)

    @staticmethod
    def _stage(channels_in: int, channels_out: int, stride: int, groups: int | None) -> nn.Sequential:
        return nn.Sequential(
            _BasicBlock(channels_in, channels_out, stride, groups),
            _BasicBlock(channels_out, channels_out, 1, groups),
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Five feature maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input."""
        stem = functional.relu(self.bn1(self.conv1(x)))
        features = [stem, self.layer1(self.maxpool(stem))]
        for stage in (self.layer2, self.layer3, self.layer4):
            features.append(stage(features[-1]))
        return features


def _conv_norm_relu(channels_in: int, channels_out: int, groups: int | None) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        _norm(channels_out, groups),
        nn.ReLU(),
    )


class _DecoderBlock(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, groups: int | None) -> None:
        super().__init__()
        self.conv1 = _conv_norm_relu(channels_in, channels_out, groups)
        self.conv2 = _conv_norm_relu(channels_out, channels_out, groups)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        if skip is not None:
            x = torch.cat([x, skip], dim=1)
        return self.conv2(self.conv1(x))


class _Decoder(nn.Module):
    def __init__(self, width: int, widths: tuple[int, ...], groups: int | None) -> None:
        super().__init__()
        skips = (width * 4, width * 2, width, width, 0)
        inputs = (width * 8, *widths[:-1])
        self.blocks = nn.ModuleList(
            _DecoderBlock(n + s, out, groups) for n, s, out in zip(inputs, skips, widths, strict=True)
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        *skips, x = features
        for block, skip in zip(self.blocks, [*reversed(skips), None], strict=True):
            x = block(x, skip)
        return x


class ResNetUNet2d(nn.Module):
    """Three channels in, one class out; sides must be multiples of 32.

    `groups` of every norm; None keeps ResNet's own BatchNorm.
    """

    def __init__(self, width: int, decoder: tuple[int, ...], groups: int | None) -> None:
        super().__init__()
        self.encoder = _ResNet18(width, groups)
        self.decoder = _Decoder(width, decoder, groups)
        self.segmentation_head = nn.Sequential(nn.Conv2d(decoder[-1], 1, 3, padding=1))

    def encode(self, x: Tensor) -> list[Tensor]:
        """(N, 3, S, S) to five feature maps, finest first; the last is the bottleneck."""
        return self.encoder(x)

    def decode(self, features: list[Tensor]) -> Tensor:
        """Five feature maps, the bottleneck already told what to mask, to (N, 1, S, S) logits."""
        return self.segmentation_head(self.decoder(features))

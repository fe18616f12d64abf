"""The 3D U-Net whose encoder half sees volumes and whose decoder half masks organs."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class _DoubleConv(nn.Module):
    """Convolution, GroupNorm, LeakyReLU, twice."""

    def __init__(self, channels_in: int, channels_out: int, groups: int) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv3d(channels_in, channels_out, 3, padding=1),
            nn.GroupNorm(groups, channels_out),
            nn.LeakyReLU(0.01),
            nn.Conv3d(channels_out, channels_out, 3, padding=1),
            nn.GroupNorm(groups, channels_out),
            nn.LeakyReLU(0.01),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.double_conv(x)


class _Down(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, groups: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.MaxPool3d(2), _DoubleConv(channels_in, channels_out, groups))

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x)


class _Up(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, groups: int) -> None:
        super().__init__()
        self.conv = _DoubleConv(channels_in, channels_out, groups)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = functional.interpolate(x, scale_factor=2, mode="trilinear", align_corners=True)
        missing = [s - n for s, n in zip(skip.shape[2:], x.shape[2:], strict=True)]
        padding = [p for m in reversed(missing) for p in (m // 2, m - m // 2)]
        return self.conv(torch.cat([skip, functional.pad(x, padding)], dim=1))


class _Out(nn.Module):
    def __init__(self, channels_in: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels_in, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class UNet3d(nn.Module):
    """One channel in, one class out; `encode` and `decode` are used apart."""

    def __init__(self, widths: tuple[int, int, int, int, int], groups: int) -> None:
        super().__init__()
        w1, w2, w3, w4, w5 = widths
        self.conv = _DoubleConv(1, w1, groups)
        self.enc1 = _Down(w1, w2, groups)
        self.enc2 = _Down(w2, w3, groups)
        self.enc3 = _Down(w3, w4, groups)
        self.enc4 = _Down(w4, w5, groups)
        self.dec1 = _Up(w4 + w5, w3, groups)
        self.dec2 = _Up(w3 + w3, w2, groups)
        self.dec3 = _Up(w2 + w2, w1, groups)
        self.dec4 = _Up(w1 + w1, w1, groups)
        self.out = _Out(w1)

    def encode(self, x: Tensor) -> list[Tensor]:
        """(N, 1, D, H, W) to five feature maps, finest first; the last is the bottleneck."""
        features = [self.conv(x)]
        for level in (self.enc1, self.enc2, self.enc3, self.enc4):
            features.append(level(features[-1]))
        return features

    def decode(self, features: list[Tensor]) -> Tensor:
        """Five feature maps, the bottleneck already told what to mask, to (N, 1, D, H, W) logits."""
        x1, x2, x3, x4, x5 = features
        x = self.dec1(x5, x4)
        x = self.dec2(x, x3)
        x = self.dec3(x, x2)
        return self.out(self.dec4(x, x1))

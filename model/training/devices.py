"""Where training computes and with which precision: the one place that asks whether there is a GPU."""

import torch


def training_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mixed_precision(device: torch.device, *, enabled: bool = True) -> torch.autocast:
    """Compute matrix products in bfloat16, weights and losses in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)

"""Where training computes and with which precision: the one place that asks whether there is a GPU."""

import torch


def training_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mixed_precision(device: torch.device, *, enabled: bool = True) -> torch.autocast:
    """Compute matrix products in bfloat16, weights and losses in float32, where that is the faster way.

    A CPU without AMX multiplies small matrices of bfloat16 more slowly than those of float32.
    """
    faster = device.type != "cpu" or torch.cpu.get_capabilities().get("amx_bf16", False)
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled and faster)

"""Where training computes and with which precision: the one place that asks whether there is a GPU."""

import torch


def training_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def product_type(device: torch.device) -> torch.dtype:
    """The faster of bfloat16 and float32 for products of small matrices.

    A CPU without AMX takes twice as long for bfloat16.
    """
    halves = device.type != "cpu" or torch.cpu.get_capabilities().get("amx_bf16", False)
    return torch.bfloat16 if halves else torch.float32


def mixed_precision(device: torch.device, *, enabled: bool = True) -> torch.autocast:
    """Compute matrix products in bfloat16, weights and losses in float32, where that is the faster way."""
    faster = product_type(device) == torch.bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled and faster)

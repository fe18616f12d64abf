"""Weight-only quantization of a Llama's decoder layers; activations stay bfloat16 and need no calibration.

`int8` needs nothing beside PyTorch. `int4` is NF4 (Dettmers et al. 2023, arXiv:2305.14314) by bitsandbytes,
whose kernels on CPU and GPU multiply with packed weights without unpacking them in memory.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaForCausalLM

from model.errors import WeightsError
from model.precision import Precision

NF4_BLOCK = 64
"""Weights that share one scale, along the input."""
_NF4_LEVELS = 16
_NF4_PANEL = 32
"""Outputs that the CPU kernel handles together; their number must be a multiple."""
_FEW_ROWS = 4
"""Up to here multiplying with int8 directly is faster; above, a bfloat16 panel serves all rows from cache."""
_PANEL = 688
"""Outputs of one such panel: 5.6 MB at width 4096, which a second-level cache nearly holds."""

_LORA = ".lora_"


def language_dtype(precision: Precision) -> torch.dtype:
    """Return the dtype of whatever in the language model is not quantized, and of its key/value cache."""
    return torch.float32 if precision is Precision.FLOAT32 else torch.bfloat16


def decoder_matrices(llama: LlamaForCausalLM) -> Iterator[tuple[str, nn.Linear]]:
    """Name every matrix that quantization replaces: those of the decoder layers, adapters left out."""
    for name, module in llama.model.layers.named_modules():
        if isinstance(module, nn.Linear) and _LORA not in name and getattr(module, "bias", None) is None:
            yield f"model.layers.{name}", module


def quantized_bytes(matrix: nn.Linear, precision: Precision) -> int:
    """Bytes that `quantized` keeps of a matrix."""
    weights, outputs = matrix.in_features * matrix.out_features, matrix.out_features
    match precision:
        case Precision.INT8:
            return weights + 2 * outputs
        case Precision.INT4:
            return weights // 2 + 4 * (weights // NF4_BLOCK) + 4 * _NF4_LEVELS
        case _:
            raise ValueError(f"{precision} does not quantize")


def quantize_decoder(llama: LlamaForCausalLM, precision: Precision, device: str = "cpu") -> None:
    """Replace the decoder's matrices one by one, so that never more than one is held twice.

    Each is moved to `device` first and quantized there. `float32` and `bfloat16` change nothing.

    Raises:
        WeightsError: bitsandbytes is not installed, or a width is no multiple of what NF4 packs together.
    """
    if not precision.is_quantized:
        return
    for name in [name for name, _ in decoder_matrices(llama)]:
        weight = llama.get_submodule(name).get_parameter("weight")
        llama.set_submodule(name, quantized(weight, precision, device))


def quantized(weight: Tensor, precision: Precision, device: str = "cpu") -> nn.Module:
    """Return a layer that multiplies with (out, in) `weight` in fewer bits.

    Raises:
        WeightsError: see `quantize_decoder`.
    """
    weight = weight.detach().to(device)
    return Int8Linear(weight) if precision is Precision.INT8 else _nf4(weight)


class Int8Linear(nn.Module):
    """Multiplies (..., in) to (..., out) with weights on 255 levels between -max and max of their row."""

    weight: Tensor
    """(out, in) int8."""
    scale: Tensor
    """(out,) bfloat16."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        scale = (weight.abs().amax(1).float() / 127).clamp(min=torch.finfo(torch.float32).tiny)
        self.register_buffer("weight", (weight / scale[:, None]).round_().to(torch.int8))
        self.register_buffer("scale", scale.to(torch.bfloat16))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) <= _FEW_ROWS and rows.device.type == "cpu":
            product: Tensor = torch.ops.aten._weight_int8pack_mm(rows, self.weight, self.scale)  # pyright: ignore[reportPrivateUsage]  # PyTorch has no other name for it
        else:
            panels = [functional.linear(rows, part.to(rows.dtype)) for part in self.weight.split(_PANEL)]
            product = torch.cat(panels, dim=-1) * self.scale
        return product.reshape(*x.shape[:-1], -1)


def _nf4(weight: Tensor) -> nn.Module:
    outputs, inputs = weight.shape
    if inputs % NF4_BLOCK or outputs % _NF4_PANEL:
        raise WeightsError(
            f"a matrix of {outputs} x {inputs} cannot be kept in int4, which needs multiples of "
            f"{_NF4_PANEL} x {NF4_BLOCK}; choose precision int8"
        )
    try:
        from bitsandbytes.nn import modules as library
    except ImportError as exc:
        raise WeightsError("int4 needs bitsandbytes: pip install 'medversa-node[quantized]'") from exc
    four_bit_weight: Any = library.Params4bit  # its constructor hides behind Parameter's in its types
    layer = library.Linear4bit(
        inputs, outputs, bias=False, compute_dtype=torch.bfloat16, compress_statistics=False, device="meta"
    )
    layer.weight = four_bit_weight(
        weight.to(torch.bfloat16),
        requires_grad=False,
        blocksize=NF4_BLOCK,
        compress_statistics=False,
        quant_type="nf4",
    ).to(weight.device)
    return layer.eval()

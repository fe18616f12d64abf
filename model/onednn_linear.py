"""Multiplies a decoder's float32 matrices by oneDNN on a CPU: as exact, and faster for few rows.

PyTorch hands float32 products to its default BLAS. A batch of answers multiplies a few rows with every matrix
at each step; there oneDNN, which PyTorch brings too, took half the time at 1 to 16 rows of 768 x 2048, and
never more. Its call costs about 15 microseconds, so small matrices are left alone.
"""

from typing import cast

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from model.quantized_layers import decoder_matrices

LEAST_WEIGHTS = 2**17
"""Weights of a matrix from which on oneDNN was faster at every number of rows."""


class OneDnnLinear(nn.Linear):
    """A Linear that goes by oneDNN where nothing is to be learned."""

    def forward(self, input: Tensor) -> Tensor:
        if torch.is_grad_enabled() or input.device.type != "cpu" or input.dtype is not torch.float32:
            return super().forward(input)
        product = torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, "none", [], "")
        return cast(Tensor, product)


def multiply_by_onednn(llama: LlamaForCausalLM) -> None:
    """Let the decoder's large matrices go by oneDNN, where it is; they keep their weights and names."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return
    large = [(name, m) for name, m in decoder_matrices(llama) if m.weight.numel() >= LEAST_WEIGHTS]
    for name, matrix in large:
        faster = OneDnnLinear(matrix.in_features, matrix.out_features, bias=False, device="meta")
        faster.weight = matrix.weight
        llama.set_submodule(name, faster)

"""How many bytes a MedVersa takes, known from its sizes alone."""

import math
from collections.abc import Iterator

from torch import Tensor, nn

from model.families.medversa_networks.network import MedVersaNetwork
from model.memory import MemoryNeed
from model.precision import Precision, resolved
from model.quantized_layers import decoder_matrices, language_dtype, quantized_bytes

_VOLUME_MAPS = 9
"""Feature maps of the finest level that live at once while the 3D U-Net decodes.

One kept from encoding, one of the level below, two joined, two again and one more in the layout of the
convolution, its result and, together, the four coarser levels. At the released size that is 2.5 GiB; 2.1 GiB
were measured. Encoding takes less (0.9 GiB), and so does anything planar (Swin-B at 224 pixels: 50 MiB).
"""
_LAYER_WIDTHS, _LAYER_FEED_FORWARDS = 6, 3
"""Vectors of either width that one decoder layer holds of a position: residual, norm, query, key, value and
output; gate, up and their product."""


def footprint(network: MedVersaNetwork, precision: Precision) -> MemoryNeed:
    """Say what a network takes once loaded; it may be on the meta device and must not be quantized yet."""
    sizes, precision = network.sizes, resolved(precision, parameters_of(network))
    element = language_dtype(precision).itemsize
    layer = _LAYER_WIDTHS * sizes.hidden + _LAYER_FEED_FORWARDS * sizes.feed_forward
    return MemoryNeed(
        weights=_weights(network, precision),
        encoding=4 * _VOLUME_MAPS * sizes.unet3d_widths[0] * math.prod(sizes.volume_grid),
        cache_per_token=2 * sizes.layers * sizes.hidden * element,
        work_per_token=layer * element,
    )


def parameters_of(network: MedVersaNetwork) -> int:
    """Count the parameters of the language model, adapters included."""
    return sum(parameter.numel() for parameter in network.llama_model.parameters())


def _weights(network: MedVersaNetwork, precision: Precision) -> int:
    """Vision, heads and buffers as they are; of the language model, parameters at `precision`."""
    element = language_dtype(precision).itemsize
    matrices = [m for _, m in decoder_matrices(network.llama)] if precision.is_quantized else []
    packed = {id(matrix.weight): quantized_bytes(matrix, precision) for matrix in matrices}
    language = {
        id(parameter): packed.get(id(parameter), parameter.numel() * element)
        for parameter in network.llama_model.parameters()
    }
    return sum(language.get(id(t), t.numel() * t.element_size()) for t in _tensors(network))


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()

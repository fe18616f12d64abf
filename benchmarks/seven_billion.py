"""One request at the released size: `python -m benchmarks.seven_billion --precision bfloat16`.

Random weights take the place of the published ones, which change neither memory nor time, and random token
ids that of a text, since Llama's tokenizer is not ours to ship. One chest image goes the whole way: encoder,
nine visual tokens, prompt, answer. No part of the network is ever held twice.

A token cannot be written faster than the weights that it needs are read from memory; the bandwidth is
measured in the same run, as the time to sum a large array.
"""

import argparse
import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from model.families.medversa_loading import empty_network
from model.families.medversa_networks.footprint import footprint, parameters_of
from model.families.medversa_networks.generation import WritingRules, write
from model.families.medversa_networks.network import MedVersaNetwork, splice
from model.families.medversa_networks.prefill import Prompt
from model.families.medversa_networks.sizes import PRESETS
from model.memory import GIB, check_fit, free_memory
from model.precision import Precision, resolved
from model.quantized_layers import decoder_matrices, language_dtype, quantized
from model.training.phantoms.chest import make_chest_case
from model.transforms import planar_to_grid
from model.volume import FrameKey, PlanarImage

BEFORE, QUESTION = 12, 40
"""Tokens of a prompt in front of its image and behind it, about those of a request for a report."""
BANDWIDTH_BYTES = GIB


def main() -> None:
    """Build, ask, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--precision", type=Precision, choices=list(Precision), default=Precision.BFLOAT16)
    parser.add_argument("--preset", choices=list(PRESETS), default="released")
    parser.add_argument("--tokens", type=int, default=17, help="tokens to write, 2 or more")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    bandwidth = read_bandwidth()
    network = empty_network(PRESETS[arguments.preset])
    precision = resolved(arguments.precision, parameters_of(network))
    tokens = BEFORE + network.sizes.visual_tokens + QUESTION + arguments.tokens
    needs = {p: footprint(network, p) for p in Precision if p is not Precision.AUTO}
    check_fit(needs, precision, tokens, free_memory("cpu") or 0)
    need = needs[precision].total(tokens) / GIB
    print(
        f"{precision}, {arguments.threads} threads, load {os.getloadavg()[0]:.0f}; stated need {need:.1f} GiB"
    )
    start = time.perf_counter()
    fill(network, precision)
    print(f"weights made in {time.perf_counter() - start:.1f} s, {resident('VmRSS') / GIB:.1f} GiB resident")
    per_token = ask(network, arguments.tokens)
    read = bytes_read(network)
    print(
        f"a token reads {read / GIB:.2f} GiB, memory gives {bandwidth / GIB:.1f} GiB/s: at least "
        f"{read / bandwidth:.3f} s, reached {read / bandwidth / per_token:.0%} of the bound"
    )
    print(f"peak {resident('VmHWM') / GIB:.2f} GiB resident")


def read_bandwidth() -> float:
    """Bytes per second at which memory is read, the best of five."""
    array = torch.ones(BANDWIDTH_BYTES // 4)
    return BANDWIDTH_BYTES / min(_seconds(array.sum) for _ in range(5))


def _seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


@torch.inference_mode()
def fill(network: MedVersaNetwork, precision: Precision) -> None:
    """Give every parameter memory and cheap random numbers; quantize each matrix as soon as it is there."""
    language = language_dtype(precision)
    own = {id(parameter) for parameter in network.llama_model.parameters()}
    packed = [name for name, _ in decoder_matrices(network.llama)] if precision.is_quantized else []
    for name in packed:
        weight = random_parameter(network.llama.get_submodule(name).get_parameter("weight"), language)
        network.llama.set_submodule(name, quantized(weight, precision))
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.is_meta:
                dtype = language if id(parameter) in own else torch.float32
                setattr(module, name, random_parameter(parameter, dtype))
    network.requires_grad_(False).eval()


def random_parameter(like: nn.Parameter, dtype: torch.dtype) -> nn.Parameter:
    """Draw a matrix that keeps the scale of what it multiplies; norms are ones, biases too."""
    values = torch.empty(like.shape, dtype=dtype)
    if values.ndim < 2:
        return nn.Parameter(values.fill_(1), requires_grad=False)
    reach = math.sqrt(3 / values[0].numel())
    return nn.Parameter(values.uniform_(-reach, reach), requires_grad=False)


@torch.inference_mode()
def ask(network: MedVersaNetwork, tokens: int) -> float:
    """Answer one request about one chest image; print the seconds of each part, return those of a token."""
    start = time.perf_counter()
    prompt = prompt_about(network, see_chest(network), tokens)
    seen = time.perf_counter()
    rules = WritingRules((), frozenset())
    write(network, [Prompt((0,), prompt.embedded[:1], 1)], rules)  # NF4 is packed for the CPU when first used
    ready = time.perf_counter()
    (first,) = write(network, [replace(prompt, limit=1)], rules)
    read = time.perf_counter()
    (answer,) = write(network, [prompt], rules)
    written = time.perf_counter()
    assert answer.ids[:1] == first.ids, "greedy writing begins alike"
    assert len(answer.ids) == tokens
    assert bool(answer.first_logits.isfinite().all())
    per_token = (written - read - (read - ready)) / (tokens - 1)
    print(f"image {seen - start:.1f} s, first use of the weights {ready - seen:.1f} s")
    print(f"{len(prompt.keys)} tokens read in {read - ready:.1f} s; {tokens} written, {per_token:.3f} s each")
    return per_token


def see_chest(network: MedVersaNetwork) -> Tensor:
    """Encode a phantom chest to (T, hidden) visual tokens."""
    image = PlanarImage(make_chest_case(0).current.pixels, FrameKey("1"))
    pixels, _ = planar_to_grid(image, network.sizes.image_size)
    return network.llama_proj_2d(network.seen_2d(torch.from_numpy(pixels)[None]))[0]


def prompt_about(network: MedVersaNetwork, visual: Tensor, limit: int) -> Prompt:
    ids = torch.randint(3, network.sizes.vocabulary - 5, (1, BEFORE + len(visual) + QUESTION))
    places = torch.zeros_like(ids, dtype=torch.bool)
    places[:, BEFORE : BEFORE + len(visual)] = True
    embedded = splice(network.embed(ids), places, [visual])[0]
    return Prompt(tuple(range(len(embedded))), embedded, limit)


def bytes_read(network: MedVersaNetwork) -> int:
    """Bytes of the decoder layers and of the final scores, which every token needs."""
    llama = network.llama
    held: list[Tensor] = [
        *llama.model.layers.parameters(),
        *llama.model.layers.buffers(),
        llama.lm_head.weight,
    ]
    for parameter in llama.model.layers.parameters():
        state = getattr(parameter, "quant_state", None)
        held += [] if state is None else [state.absmax]
    return sum(tensor.numel() * tensor.element_size() for tensor in held)


def resident(field: str) -> int:
    """Bytes of this process in memory, now (VmRSS) or at most so far (VmHWM); proc(5)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) << 10
    raise RuntimeError(f"no {field} in /proc/self/status")


if __name__ == "__main__":
    main()

"""Tokens per second of decoding beside what memory allows: `python -m benchmarks.decode`.

Each step of decoding reads all weights of the language model once, so a batch of one cannot be faster than
memory bandwidth divided by their bytes. The bandwidth is that of copying a large tensor in the same run.
Weights are random: speed does not depend on them. For an accelerator: `--preset released --device cuda`.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch

from model.families.medversa_networks.generation import WritingRules, write
from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.prefill import Prompt
from model.families.medversa_networks.sizes import PRESETS
from model.precision import Precision, resolved
from model.quantized_layers import language_dtype

PROMPT = 40
"""Positions of each prompt: an image and a short question."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--preset", choices=PRESETS, default="demo")
    parser.add_argument("--device", default="cpu", help="a torch device")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of each answer that are timed")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    network = random_network(arguments.preset, device)
    llama = network.llama
    read = sum(p.numel() * p.element_size() for p in network.llama_model.parameters())
    read -= llama.get_input_embeddings().weight.nbytes
    bandwidth = statistics.median(copied_per_second(device) for _ in range(arguments.repeats))
    bound = bandwidth / read
    one, sixteen = (
        statistics.median(
            tokens_per_second(network, rows, arguments.tokens) for _ in range(arguments.repeats)
        )
        for rows in (1, 16)
    )
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    print(f"{arguments.preset}, {llama.dtype} on {name}, torch {torch.__version__}")
    print(f"memory {bandwidth / 1e9:.0f} GB/s, so at most {bound:.1f} tokens/s for a batch of 1")
    print(f"batch 1: {one:.1f} tokens/s, {one / bound:.0%} of that")
    print(f"batch 16: {sixteen:.1f} tokens/s, {sixteen / one:.1f} times batch 1")


def random_network(preset: str, device: torch.device) -> MedVersaNetwork:
    """Make a network of a preset's sizes; its language model in the precision that `auto` would choose."""
    with torch.device(device):
        network = MedVersaNetwork(PRESETS[preset]).requires_grad_(False).eval()
    parameters = sum(p.numel() for p in network.llama_model.parameters())
    network.llama_model.to(language_dtype(resolved(Precision.AUTO, parameters)))
    return network


def copied_per_second(device: torch.device) -> float:
    """Bytes read and written per second."""
    source = torch.empty(1 << (30 if device.type == "cuda" else 28), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / seconds(device, lambda: target.copy_(source))


def tokens_per_second(network: MedVersaNetwork, rows: int, tokens: int) -> float:
    """Tokens per second of all rows together, without the time of reading the prompts."""
    device = network.ln_vision_2d.weight.device
    ids = torch.arange(rows * PROMPT, device=device).reshape(rows, PROMPT) % network.sizes.vocabulary
    rules = WritingRules(((-1,),), frozenset())

    def writing(limit: int) -> float:
        prompts = [Prompt(tuple(row.tolist()), network.embed(row), limit) for row in ids]
        return seconds(device, lambda: write(network, prompts, rules))

    return rows * tokens / (writing(tokens + 1) - writing(1))


def seconds(device: torch.device, work: Callable[[], object]) -> float:
    """Time the second of two runs, to the end of what the device was given."""
    work()
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()

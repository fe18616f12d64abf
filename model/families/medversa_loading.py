"""Loads a folder of MedVersa weights as a family."""

from pathlib import Path

from accelerate import init_empty_weights

from model.families.medversa import MedVersaFamily
from model.families.medversa_networks.checkpoint import fill
from model.families.medversa_networks.footprint import footprint, parameters_of
from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.sizes import MedVersaSizes
from model.families.medversa_opening import open_weights
from model.memory import MemoryNeed, check_fit, free_memory
from model.onednn_linear import multiply_by_onednn
from model.precision import Precision, named_precision, resolved
from model.reading import ModelIdentity
from model.vocabulary import VOCABULARIES
from model.weights import WeightsConfig

SHORT_PROMPT = 128
"""Tokens of a request about one image; with the longest answer, what a device must have room for."""


def load_medversa(folder: Path, device: str, precision: str = Precision.AUTO) -> MedVersaFamily:
    """Open converted weights or a released checkpoint and fill a network of its sizes.

    Raises:
        WeightsError: a file is missing, altered or does not fit, or there is no such precision.
        MemoryShortageError: the device has not the memory; known before a tensor is read.
    """
    wanted = named_precision(precision)
    opened = open_weights(folder)
    network = empty_network(opened.sizes)
    chosen = resolved(wanted, parameters_of(network))
    need = checked_need(network, chosen, free_memory(device))
    fill(network, opened.checkpoint, chosen, device)
    if chosen is Precision.FLOAT32:
        multiply_by_onednn(network.llama)
    return MedVersaFamily(
        identity_of(opened.config),
        network.to(device).eval(),
        opened.tokenizer,
        opened.config.yes_temperature,
        VOCABULARIES["demo" if opened.config.demo_weights else "released"],
        precision=chosen,
        need=need,
    )


def checked_need(network: MedVersaNetwork, precision: Precision, free: int | None) -> MemoryNeed:
    """Say what an empty network will take; None of `free` bytes is taken for enough.

    Raises:
        MemoryShortageError: `free` does not suffice to load it and to answer one request about one image.
    """
    needs = {p: footprint(network, p) for p in Precision if p is not Precision.AUTO}
    if free is not None:
        check_fit(needs, precision, SHORT_PROMPT + network.sizes.max_new_tokens, free)
    return needs[precision]


def empty_network(sizes: MedVersaSizes) -> MedVersaNetwork:
    """Build a network whose parameters have shapes but no memory; derived buffers have their values.

    It does not touch the caller's random numbers.
    """
    with init_empty_weights():
        return MedVersaNetwork(sizes).requires_grad_(False)


def identity_of(config: WeightsConfig) -> ModelIdentity:
    return ModelIdentity(
        config.family,
        config.name,
        config.version,
        config.weights_sha256,
        config.demo_weights,
        config.generation,
    )

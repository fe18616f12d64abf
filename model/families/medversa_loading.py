"""Opens a folder of MedVersa weights as a family."""

from pathlib import Path

import torch

from model.errors import WeightsError
from model.families.medversa import MedVersaFamily
from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.sizes import MedVersaSizes
from model.families.medversa_networks.tokenizer import MedVersaTokenizer
from model.reading import ModelIdentity
from model.weights import (
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    check_hashes,
    load_into,
    read_config,
)


def load_medversa(folder: Path, device: str) -> MedVersaFamily:
    """Build the network at the folder's sizes and fill it.

    Raises:
        WeightsError: a file is missing, altered or does not fit.
    """
    config = read_config(folder)
    if config.family != "medversa":
        raise WeightsError(f"the weights are of family {config.family}, not medversa")
    check_hashes(folder, config)
    try:
        sizes = MedVersaSizes.from_json(dict(config.sizes))
        tokenizer = MedVersaTokenizer.from_file(folder / TOKENIZER_FILE)
    except (TypeError, ValueError) as exc:
        raise WeightsError(f"the weights do not describe a MedVersa: {exc}") from exc
    network = empty_network(sizes)
    load_into(network, folder / WEIGHTS_FILE)
    identity = ModelIdentity(
        config.family, config.name, config.version, config.weights_sha256, config.demo_weights
    )
    return MedVersaFamily(identity, network.to(device).eval(), tokenizer, config.yes_temperature)


def empty_network(sizes: MedVersaSizes) -> MedVersaNetwork:
    """Build a network whose random start does not disturb the caller's random numbers."""
    with torch.random.fork_rng(devices=[]):
        return MedVersaNetwork(sizes).requires_grad_(False)

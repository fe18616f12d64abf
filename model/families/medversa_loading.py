"""Loads a folder of MedVersa weights as a family."""

from pathlib import Path

from accelerate import init_empty_weights

from model.families.medversa import MedVersaFamily
from model.families.medversa_networks.checkpoint import fill
from model.families.medversa_networks.footprint import footprint, parameters_of
from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.sizes import MedVersaSizes
from model.families.medversa_opening import open_weights
from model.precision import named_precision, resolved
from model.quantized_layers import language_dtype, quantize_decoder
from model.reading import ModelIdentity
from model.weights import WeightsConfig


def load_medversa(folder: Path, device: str, precision: str = "float32") -> MedVersaFamily:
    """Open converted weights or a released checkpoint and fill a network of its sizes.

    Raises:
        WeightsError: a file is missing, altered or does not fit, or there is no such precision.
    """
    wanted = named_precision(precision)
    opened = open_weights(folder)
    network = empty_network(opened.sizes)
    chosen = resolved(wanted, parameters_of(network))
    need = footprint(network, chosen)
    fill(network, opened.checkpoint, language_dtype(chosen))
    quantize_decoder(network.llama, chosen, device)
    network = network.requires_grad_(False).to(device).eval()
    return MedVersaFamily(
        identity_of(opened.config), network, opened.tokenizer, opened.config.yes_temperature, need=need
    )


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

"""A folder of weights: `weights.safetensors`, `tokenizer.json` and `config.json`, which says what they are.

Tensors carry the published names. Loading checks both hashes and every name and shape before anything is
used.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model.errors import WeightsError
from model.families.medversa_networks.released_keys import ALIASES, is_derived, published_name

WEIGHTS_FILE = "weights.safetensors"
TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "config.json"


@dataclass(frozen=True, slots=True)
class WeightsConfig:
    """What `config.json` says."""

    family: str
    preset: str
    name: str
    """E.g. `medversa-demo`."""
    version: str
    demo_weights: bool
    """True for weights that were trained on phantoms only."""
    sizes: Mapping[str, Any]
    """Fields of the family's sizes."""
    weights_sha256: str
    tokenizer_sha256: str
    yes_temperature: float
    training: Mapping[str, Any]
    """How the weights were made: seeds, steps, source revision, library versions."""
    evaluation: Mapping[str, Any]
    """Figures on held-out phantoms; not clinical."""


def save_weights(folder: Path, network: nn.Module, config: WeightsConfig) -> WeightsConfig:
    """Write `weights.safetensors` in half precision and `config.json`; `tokenizer.json` must lie there.

    Returns:
        `config` with both hashes filled in.
    """
    tensors = {
        published_name(name): tensor.half().contiguous()
        for name, tensor in network.state_dict().items()
        if not is_derived(published_name(name))
    }
    save_file(tensors, folder / WEIGHTS_FILE)
    filled = replace(
        config,
        weights_sha256=sha256_of(folder / WEIGHTS_FILE),
        tokenizer_sha256=sha256_of(folder / TOKENIZER_FILE),
    )
    write_config(folder, filled)
    return filled


def write_config(folder: Path, config: WeightsConfig) -> None:
    """Write `config.json`."""
    (folder / CONFIG_FILE).write_text(json.dumps(asdict(config), indent=1) + "\n", encoding="utf-8")


def read_config(folder: Path) -> WeightsConfig:
    """Read `config.json`.

    Raises:
        WeightsError: it is missing, is not JSON or lacks a field.
    """
    try:
        return WeightsConfig(**json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8")))
    except FileNotFoundError as exc:
        raise WeightsError(f"no {CONFIG_FILE} in the folder of weights") from exc
    except (ValueError, TypeError) as exc:
        raise WeightsError(f"{CONFIG_FILE} is not readable: {exc}") from exc


def check_hashes(folder: Path, config: WeightsConfig) -> None:
    """Compare both files with the hashes of `config.json`.

    Raises:
        WeightsError: a file is missing or altered.
    """
    for name, expected in ((WEIGHTS_FILE, config.weights_sha256), (TOKENIZER_FILE, config.tokenizer_sha256)):
        try:
            found = sha256_of(folder / name)
        except FileNotFoundError as exc:
            raise WeightsError(f"no {name} in the folder of weights") from exc
        if found != expected:
            raise WeightsError(f"{name} is altered: sha256 is {found}, {CONFIG_FILE} says {expected}")


def load_into(network: nn.Module, file: Path) -> None:
    """Fill every tensor of `network` from a file with published names, in float32.

    Raises:
        WeightsError: the file is no safetensors file, or a name is missing or unknown, or a shape differs.
    """
    try:
        stored = load_file(file)
    except (SafetensorError, OSError) as exc:
        raise WeightsError(f"{file.name} is not readable as safetensors") from exc
    for alias, name in ALIASES.items():
        if alias in stored:
            stored.setdefault(name, stored.pop(alias))
            stored.pop(alias, None)
    own = network.state_dict()
    wanted = {published_name(name): name for name in own if not is_derived(published_name(name))}
    found = {name: tensor for name, tensor in stored.items() if not is_derived(name)}
    _compare(wanted, found, own)
    network.load_state_dict(
        {**own, **{wanted[name]: tensor.to(torch.float32) for name, tensor in found.items()}}
    )


def _compare(wanted: Mapping[str, str], found: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    missing, unknown = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if missing or unknown:
        raise WeightsError(
            f"weights do not fit: {len(missing)} tensors missing (first: {missing[:3]}), "
            f"{len(unknown)} unknown (first: {unknown[:3]})"
        )
    for name, today in wanted.items():
        if found[name].shape != own[today].shape:
            raise WeightsError(
                f"{name} has shape {tuple(found[name].shape)}, expected {tuple(own[today].shape)}"
            )


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

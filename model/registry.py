"""Which families can be loaded, by name or from a folder of weights."""

from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

from model.errors import WeightsError
from model.families.family import Family
from model.families.medversa_loading import load_medversa
from model.weights import CONFIG_FILE, read_config

FAMILIES: dict[str, Callable[[Path, str], Family]] = {
    "medversa": load_medversa,
}
"""How the weights of each family are opened: folder and torch device in, family out."""

SHIPPED: dict[str, str] = {
    "medversa-demo": "demo_weights",
}
"""Folders of `model.families` that hold weights shipped with the program."""


def load_family(name_or_dir: str, device: str = "cpu") -> Family:
    """Load shipped weights by name, or any folder of weights.

    Raises:
        WeightsError: there is no such name or folder, or the weights are altered or do not fit.
    """
    if name_or_dir in SHIPPED:
        with as_file(files("model.families") / SHIPPED[name_or_dir]) as folder:
            return _open(folder, device)
    return _open(Path(name_or_dir), device)


def _open(folder: Path, device: str) -> Family:
    if not (folder / CONFIG_FILE).is_file():
        raise WeightsError(f"no weights named or at {folder.name}; shipped are {', '.join(SHIPPED)}")
    config = read_config(folder)
    if config.family not in FAMILIES:
        raise WeightsError(f"no family {config.family}; there are {', '.join(FAMILIES)}")
    return FAMILIES[config.family](folder, device)

"""Which families can be loaded, by name or from a folder of weights."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from model.errors import WeightsError
from model.families.family import Family
from model.families.medversa_loading import load_medversa
from model.precision import Precision
from model.weights import has_config, read_config

FAMILIES: dict[str, Callable[[Path, str, str], Family]] = {
    "medversa": load_medversa,
}
"""How the weights of each family are opened: folder, torch device and precision in, family out."""

RELEASED = "medversa"
"""The family of a checkpoint without our `config.json`, as its publishers release it."""

SHIPPED: dict[str, str] = {
    "medversa-demo": "demo_weights",
}
"""Folders of `model.families` that hold weights shipped with the program."""


def load_family(name_or_dir: str, device: str = "cpu", precision: str = Precision.AUTO) -> Family:
    """Load shipped weights by name, or any folder of weights: converted, or a released checkpoint as it is.

    Args:
        name_or_dir: see `SHIPPED`, or a folder.
        device: a torch device.
        precision: of the language model's weights, a name of `Precision`; all else is float32.

    Raises:
        WeightsError: there is no such name, folder or precision, or the weights are altered or do not fit.
        MemoryShortageError: the device has not the memory for them.
    """
    with weights_folder(name_or_dir) as folder:
        return _open(folder, device, precision)


@contextmanager
def weights_folder(name_or_dir: str) -> Generator[Path]:
    """Where weights lie, for as long as they are looked at; a folder that is given may not be there."""
    if name_or_dir in SHIPPED:
        with as_file(files("model.families") / SHIPPED[name_or_dir]) as folder:
            yield folder
    else:
        yield Path(name_or_dir)


def _open(folder: Path, device: str, precision: str) -> Family:
    if not folder.is_dir():
        raise WeightsError(f"no weights named or at {folder.name}; shipped are {', '.join(SHIPPED)}")
    family = read_config(folder).family if has_config(folder) else RELEASED
    if family not in FAMILIES:
        raise WeightsError(f"no family {family}; there are {', '.join(FAMILIES)}")
    return FAMILIES[family](folder, device, precision)

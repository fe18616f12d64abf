"""Settings of `model`, handed down from composition roots."""

from dataclasses import dataclass

from model.precision import Precision


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which family reads, and on what."""

    family: str = "medversa-demo"
    """A name of `model.registry.FAMILIES`, or the path of a folder of weights."""
    device: str = "cpu"
    """A torch device."""
    precision: Precision = Precision.AUTO
    """How the weights of the language model are kept."""

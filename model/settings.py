"""Settings of `model`, handed down from composition roots."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which family reads, and on what."""

    family: str = "medversa-demo"
    """A name of `model.registry.FAMILIES`, or the path of a folder of weights."""
    device: str = "cpu"
    """A torch device."""

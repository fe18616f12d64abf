"""How precisely a language model is kept in memory; vision and task heads are float32 whatever is chosen."""

from enum import StrEnum

from model.errors import WeightsError

LARGE = 1_000_000_000
"""Parameters from which on `auto` halves the language model: float32 would take 4 GB and more."""


class Precision(StrEnum):
    """Number format of the language model's weights, most precise first."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"
    """Matrices of the decoder layers in 8 bits with one scale per output; all else bfloat16."""
    INT4 = "int4"
    """Matrices of the decoder layers in NF4 with one scale per 64 weights; all else bfloat16."""
    AUTO = "auto"
    """float32 below a billion parameters, else bfloat16.

    The same on every device and whatever memory happens to be free, so that the same weights and settings
    read alike everywhere; quantization, which changes answers more, is never chosen unasked.
    """

    @property
    def is_quantized(self) -> bool:
        return self in (Precision.INT8, Precision.INT4)


def named_precision(name: str) -> Precision:
    """Read a setting.

    Raises:
        WeightsError: there is no such precision.
    """
    try:
        return Precision(name)
    except ValueError as exc:
        raise WeightsError(f"no precision {name}; there are {', '.join(Precision)}") from exc


def resolved(precision: Precision, parameters: int) -> Precision:
    """Put a concrete precision in the place of `auto` for a language model of so many parameters."""
    if precision is not Precision.AUTO:
        return precision
    return Precision.BFLOAT16 if parameters >= LARGE else Precision.FLOAT32

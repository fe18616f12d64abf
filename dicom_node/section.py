"""What every table of the configuration is made of: a frozen section, and values that are checked."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _ae_title(value: str) -> str:
    """Check the AE value representation (PS3.5 6.2): 1 to 16 printable ASCII characters, no backslash."""
    stripped = value.strip()
    if (
        not 1 <= len(stripped) <= 16
        or "\\" in stripped
        or not (stripped.isascii() and stripped.isprintable())
    ):
        raise ValueError("an AE title has 1 to 16 printable ASCII characters and no backslash")
    return stripped


AETitle = Annotated[str, AfterValidator(_ae_title)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class Section(BaseModel):
    """One table of the file: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

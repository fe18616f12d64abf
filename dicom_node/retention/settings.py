"""Settings of retention."""

from typing import Annotated

from pydantic import Field

from dicom_node.section import Section


class Retention(Section):
    """`[retention]`: how long a study and its results are kept."""

    days: Annotated[float, Field(ge=1)] | None = None
    """Days without any news after which a study is removed, if every result was delivered and nobody has to
    decide about it; it is then no prior any more. Default: none, everything is kept."""

"""Settings of proof: what besides its answer shows that a destination keeps what it was sent."""

from typing import Literal, Self

from pydantic import model_validator

from dicom_node.section import AETitle, Name, Port, Seconds, Section


class ProofOfDelivery(Section):
    """`[destinations.proof]`: how a destination shows that it keeps a result."""

    by: Literal["status", "commitment", "read-back"] = "status"
    """status: its answer to each object is enough; commitment: it commits itself to each object (Storage
    Commitment, PS3.4 J); read-back: each object is fetched from it and compared. Default status."""
    source: Name | None = None
    """Name of the `[[query_retrieve]]` (by C-GET), `[[dicomweb]]` or `[[orthanc]]` that reads back, or of
    the destination itself, if its kind is dicomweb; read-back needs it."""
    ae_title: AETitle | None = None
    """AE title that is asked for commitment. Default: the destination's."""
    host: str | None = None
    """Its address. Default: the destination's."""
    port: Port | None = None
    """Its TCP port. Default: the destination's."""
    answer_within_s: Seconds = 3600.0
    """Seconds after which a request for commitment without a report is made again. Default 3600."""

    @model_validator(mode="after")
    def _has_source(self) -> Self:
        if self.by == "read-back" and self.source is None:
            raise ValueError("proof by read-back needs source")
        return self

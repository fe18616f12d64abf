"""`[web]`: the DICOMweb server."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from dicom_node.section import Count, Port, Seconds, Section


class Web(Section):
    """`[web]`: where `medversa-node web` listens, and what it takes."""

    host: str = "127.0.0.1"
    """Address to listen on. Default 127.0.0.1: this machine only. Any other needs tokens and TLS."""
    port: Port = 8104
    """TCP port of the DICOMweb server. Default 8104."""
    certificate_file: Path | None = None
    """PEM file of our certificate, with those between it and the root. Default: no TLS."""
    key_file: Path | None = None
    """PEM file of its private key, not encrypted; certificate_file needs it."""
    client_ca_file: Path | None = None
    """PEM file of the authorities of which clients must show a certificate. Default: none is asked for."""
    is_behind_proxy: bool = False
    """Whether a proxy in front of us speaks TLS: then it is not asked of us. Default false."""
    public_url: Annotated[str, Field(pattern="^(https?://.*)?$")] = ""
    """URL of the server as clients see it, for links in answers. Default: as each request names it."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of web viewers that browsers may let read from us (CORS). Default: none."""
    max_connections: Count = 64
    """Connections at once. Default 64."""
    max_request_bytes: Count = 64 << 30
    """Largest body of one request, in bytes. Default 64 GiB."""
    max_instance_bytes: Count = 4 << 30
    """Largest instance, in bytes. Default 4 GiB."""
    max_results: Count = 1000
    """Most matches in the answer to one search; further ones are asked for by offset. Default 1000."""
    timeout_s: Seconds = 60.0
    """Seconds without a byte after which a request is given up. Default 60."""

    @model_validator(mode="after")
    def _has_both_files(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together")
        return self

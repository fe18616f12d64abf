"""What the worker knows besides the node's settings."""

from datetime import timedelta
from importlib import metadata

DELIVERY_PATIENCE = timedelta(hours=24)
"""How long delivery is tried again before the job fails visibly."""


def software_version() -> str:
    """Return the version of the installed distribution, as it stands in every result."""
    return metadata.version("medversa-node")

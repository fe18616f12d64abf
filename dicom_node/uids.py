"""Identifiers (PS3.5 9.1): what is one, and which are ours."""

import re
from functools import lru_cache

IMPLEMENTATION_CLASS_UID = "2.25.204683467395310446098425213117846227251"
"""Names this software in file meta and associations (PS3.7 D.3.3.2)."""

IMPLEMENTATION_VERSION_NAME = "MEDVERSA_NODE"

# Leading zeros of a component are illegal but common in the field: tolerated.
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)
MAX_LENGTH = 64


@lru_cache(maxsize=1 << 10)
def is_uid(text: str) -> bool:
    """Say whether `text` has the form of a UID: digits and dots, 1 to 64 characters."""
    return len(text) <= MAX_LENGTH and _UID.fullmatch(text) is not None


def sanitized(text: str) -> str:
    """Return what may be shown of a claimed identifier: no control characters, at most 64 characters."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text[:MAX_LENGTH])

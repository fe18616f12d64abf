"""Unique identifiers that depend on content only: the same input gives the same objects."""

from uuid import UUID, uuid5

from pydicom.uid import UID

_NAMESPACE = UUID("5a0b9f0e-6f0f-5a53-9a51-6d6e0c0f3c11")
_SEPARATOR = "\x1f"


def uid_from(*fields: str) -> UID:
    """Make a UUID-derived UID (PS3.5 B.2) from ordered fields.

    Fields are joined by a separator; with pydicom's `entropy_srcs` ("ab", "c") and ("a", "bc") collide.
    """
    return UID(f"2.25.{uuid5(_NAMESPACE, _SEPARATOR.join(fields)).int}")

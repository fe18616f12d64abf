"""Bearer tokens (RFC 6750): 256 random bits, of which we keep the hash, and what they are good for."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

SECRET_BYTES: Final = 32
_MOST_DIGITS: Final = 18
_NOBODYS: Final = hashlib.sha256(secrets.token_bytes(SECRET_BYTES)).hexdigest()


class Scope(StrEnum):
    """What a client may do."""

    READ = "read"
    """Search and retrieve."""
    STORE = "store"
    """Send instances."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token as it is kept: without its secret."""

    token_id: int
    name: str
    sha256: str = field(repr=False)
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    """None: never."""
    revoked_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def new_secret() -> tuple[str, str]:
    """Return a secret and the hash under which it is kept."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    return secret, digest(secret)


def digest(secret: str) -> str:
    """Hash a secret; it has so many random bits that neither salt nor slowness would add anything."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def presented(token_id: int, secret: str) -> str:
    """Return what the client has to present."""
    return f"{token_id}.{secret}"


def token_id_of(text: str) -> int | None:
    """Return which token a client claims to have; None if it is none of ours by its form."""
    number, point, _ = text.partition(".")
    is_number = number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS
    return int(number) if point and is_number else None


def is_secret_of(text: str, token: Token | None) -> bool:
    """Compare what a client presents with a token; takes the same time whatever the outcome."""
    _, _, secret = text.partition(".")
    is_same = hmac.compare_digest(digest(secret), _NOBODYS if token is None else token.sha256)
    return token is not None and is_same

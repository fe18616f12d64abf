"""Parts what has no published split, always the same way."""

import hashlib


def in_tenth(key: str, salt: str) -> bool:
    """Whether a key is one of ten, drawn by its SHA-256, so that the draw is the same everywhere."""
    return int.from_bytes(hashlib.sha256(f"{salt}:{key}".encode()).digest()[:8]) % 10 == 0

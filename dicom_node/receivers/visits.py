"""Who is connected: the limits of connections, and the studies that may still grow."""

import threading
from dataclasses import dataclass, field
from typing import Final

POLITE_EXTRA: Final = 8
"""Connections beyond the limit of associations that are still told so instead of being cut off."""


@dataclass(slots=True, eq=False)
class Visit:
    """One connection, from its acceptance to its end."""

    address: tuple[str, int]
    """Of the peer."""
    is_crowded: bool
    """Whether there are too many associations already: it is to be rejected in words."""
    receiver: int | None = None
    """Number of the receiver that serves it."""
    studies: set[str] = field(default_factory=set)
    """Study Instance UIDs of which it has brought something."""


class Visits:
    """All connections of a node, whichever process serves them; safe for any number of threads."""

    def __init__(self, most: int, most_per_peer: int) -> None:
        self._most = most
        self._most_per_peer = most_per_peer
        self._open: set[Visit] = set()
        self._lock = threading.Lock()

    def begin(self, address: tuple[str, int]) -> Visit | None:
        """Let a connection in; None if its peer, or all together, have more than they may."""
        with self._lock:
            of_peer = sum(visit.address[0] == address[0] for visit in self._open)
            if of_peer >= self._most_per_peer or len(self._open) >= self._most + POLITE_EXTRA:
                return None
            visit = Visit(address, is_crowded=len(self._open) >= self._most)
            self._open.add(visit)
            return visit

    def end(self, visit: Visit) -> None:
        with self._lock:
            self._open.discard(visit)

    def of_receiver(self, number: int) -> int:
        """Return how many connections a receiver serves."""
        with self._lock:
            return sum(visit.receiver == number for visit in self._open)

    def bring(self, study_instance_uid: str) -> bool:
        """Say whether a connection that has brought part of a study is still there."""
        with self._lock:
            return any(study_instance_uid in visit.studies for visit in self._open)

"""Who is connected: the limits of connections, and the studies that may still grow."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

POLITE_EXTRA: Final = 8
"""Connections beyond the limit of associations that are still told so instead of being cut off."""
STRANGERS: Final = 8
"""Connections at once from addresses that no caller has; they get their rejection and no more."""


@dataclass(slots=True, eq=False)
class Visit:
    """One connection, from its acceptance to its end."""

    address: tuple[str, int]
    """Of the peer."""
    is_crowded: bool
    """Whether there are too many associations already: it is to be rejected in words."""
    receiver: int | None = None
    """Number of the receiver that serves it."""
    is_stranger: bool = False
    """Whether no caller may call from its address."""
    studies: set[str] = field(default_factory=set)
    """Study Instance UIDs of which it has brought something."""


class Visits:
    """All connections of a node, whichever process serves them; safe for any number of threads."""

    def __init__(
        self, most: int, most_per_peer: int, is_known: Callable[[str], bool] = lambda address: True
    ) -> None:
        """Allow so many connections together and of each peer; `is_known` tells callers from strangers."""
        self._most = most
        self._most_per_peer = most_per_peer
        self._is_known = is_known
        self._open: set[Visit] = set()
        self._lock = threading.Lock()

    def begin(self, address: tuple[str, int]) -> Visit | None:
        """Let a connection in; None if its peer, or all together, have more than they may.

        Strangers, who are rejected anyway, have few places of their own and take nobody else's.
        """
        is_stranger = not self._is_known(address[0])
        with self._lock:
            of_peer = sum(visit.address[0] == address[0] for visit in self._open)
            there = sum(visit.is_stranger is is_stranger for visit in self._open)
            places = STRANGERS if is_stranger else self._most + POLITE_EXTRA
            if of_peer >= self._most_per_peer or there >= places:
                return None
            is_crowded = not is_stranger and there >= self._most
            visit = Visit(address, is_crowded, is_stranger=is_stranger)
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

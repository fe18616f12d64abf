"""One connection of the HTTP server, with limits that uvicorn lacks: time for a head, and how many."""

import asyncio
from typing import Final, cast

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEAD_TIMEOUT_S: Final = 20.0
"""Seconds from a connection, or from the answer before, to a complete head of a request."""
MOST_HEAD: Final = 1 << 16
"""Bytes of the head of a request."""
MOST_PER_PEER: Final = 16
"""Connections from one address at once; a proxy may have all of them."""


class BoundedConnection(H11Protocol):
    """HTTP/1.1 with somebody who may be slow, silent or many."""

    _watch: asyncio.TimerHandle | None = None
    most_per_peer: int | None = MOST_PER_PEER

    # Not checked: uvicorn declares it with a narrower transport than asyncio does.
    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        of_peer = sum(
            1
            for each in self.connections
            if isinstance(each, BoundedConnection) and each.client is not None and each.client[0] == peer
        )
        if self.most_per_peer is not None and of_peer > self.most_per_peer:
            transport.abort()
        else:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait_for_head()

    def _wait_for_head(self) -> None:
        self._forget()
        self._watch = self.loop.call_later(HEAD_TIMEOUT_S, self._close_without_head)

    def _close_without_head(self) -> None:
        # None before the first request, whatever the library declares.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or cycle.response_complete:
            self.transport.abort()

    def _forget(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None


class BoundedConnectionOfProxy(BoundedConnection):
    """A connection of a proxy: all clients come from its address."""

    most_per_peer = None

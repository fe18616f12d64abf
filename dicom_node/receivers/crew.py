"""The receiver processes: started, given connections, started again when one dies, and told to end."""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from dicom_node.errors import NodeError
from dicom_node.receivers.channel import pair
from dicom_node.receivers.process import READY, Nursery
from dicom_node.receivers.visits import Visit
from dicom_node.settings import NodeSettings

logger = logging.getLogger(__name__)

MOST_BY_DEFAULT: Final = 4
START_PATIENCE_S: Final = 30.0
SHORT_LIFE_S: Final = 5.0
RESTART_DELAY_S: Final = 1.0
"""What a receiver that died after so short a life waits for."""


def default_count() -> int:
    """Return one receiver for each processor that we may use, 4 at most."""
    return min(len(os.sched_getaffinity(0)), MOST_BY_DEFAULT)


class Receiver:
    """One place for a receiver process; whatever dies in it is replaced until `stop`."""

    def __init__(self, number: int, nursery: Nursery, on_change: Callable[[], None]) -> None:
        self.number = number
        self.is_ready = False
        self._nursery = nursery
        self._on_change = on_change
        self._control: socket.socket | None = None
        self._is_stopping = False
        self._thread = threading.Thread(target=self._supervise, name=f"receiver {number}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hand_over(self, connection: socket.socket, channel: socket.socket, visit: Visit) -> bool:
        """Give the process a connection and the channel for it; False if it has died."""
        order = json.dumps({"address": visit.address, "is_crowded": visit.is_crowded}).encode()
        control = self._control
        if control is None:
            return False
        try:
            socket.send_fds(control, [order], [connection.fileno(), channel.fileno()])
        except OSError:
            return False
        return True

    def stop(self, patience_s: float) -> None:
        """Let associations finish for a while, abort them, and wait for the end of the process."""
        self._is_stopping = True
        control = self._control
        if control is not None:
            _order_end(control, patience_s)
        self._thread.join()

    def _supervise(self) -> None:
        while not self._is_stopping:
            began = time.monotonic()
            try:
                self._live()
            except OSError:
                logger.exception("a receiver could not be started")
            if not self._is_stopping:
                logger.error("a receiver died", extra={"receiver": self.number})
                if time.monotonic() - began < SHORT_LIFE_S:
                    time.sleep(RESTART_DELAY_S)

    def _live(self) -> None:
        """Follow one process from start to end."""
        ours, theirs = pair()
        with ours:
            with theirs:
                self._nursery.bear(theirs)
            with suppress(OSError):
                if ours.recv(len(READY)) == READY:
                    self._turn(ours)
                    if self._is_stopping:  # meanwhile
                        _order_end(ours, 0.0)
                    ours.recv(1)  # nothing more is said: it returns when the process has ended
            self._turn(None)

    def _turn(self, control: socket.socket | None) -> None:
        self._control = control
        self.is_ready = control is not None
        self._on_change()


def _order_end(control: socket.socket, patience_s: float) -> None:
    with suppress(OSError):  # it has ended already
        control.send(json.dumps({"patience_s": patience_s}).encode())


class Crew:
    """All receivers of a node."""

    def __init__(self, settings: NodeSettings, load_of: Callable[[int], int]) -> None:
        self._nursery = Nursery(settings)
        self._load_of = load_of
        self._changed = threading.Condition()
        count = settings.node.receivers or default_count()
        self.receivers = [Receiver(number, self._nursery, self._on_change) for number in range(count)]

    def start(self) -> None:
        """Start all and return when they are ready, or as many of them as are in due time.

        Raises:
            NodeError: none is.
        """
        for receiver in self.receivers:
            receiver.start()
        with self._changed:
            self._changed.wait_for(lambda: len(self._ready()) == len(self.receivers), START_PATIENCE_S)
        if not self._ready():
            self.stop(0)
            raise NodeError("no receiver process could be started; its errors are in the log")

    def least_busy(self, patience_s: float) -> Receiver | None:
        """Return the receiver with the fewest connections; wait for one to be ready, None if none is."""
        with self._changed:
            self._changed.wait_for(self._ready, patience_s)
            return min(self._ready(), key=lambda receiver: self._load_of(receiver.number), default=None)

    def stop(self, patience_s: float) -> None:
        """Let associations finish for a while; returns when every process has ended."""
        stopping = [threading.Thread(target=receiver.stop, args=(patience_s,)) for receiver in self.receivers]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        self._nursery.close()

    def _ready(self) -> list[Receiver]:
        return [receiver for receiver in self.receivers if receiver.is_ready]

    def _on_change(self) -> None:
        with self._changed:
            self._changed.notify_all()

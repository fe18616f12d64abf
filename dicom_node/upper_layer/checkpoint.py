"""Where the library's reactor waits while a request of ours is under way."""

import threading

from pynetdicom.association import Association


class Checkpoint(threading.Event):
    """The checkpoint of one association, at which the reactor stays once it is seen to be paused.

    With the library's own (pynetdicom 3.0.4) a request that follows an answer at once sees the pause of
    before; the reactor wakes meanwhile, takes the answer for a request of the peer, and the request waits in
    vain until its timeout. The busier the machine, the more often.
    """

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self._change = threading.Condition()
        self._is_open = True

    def is_set(self) -> bool:
        return self._is_open

    def set(self) -> None:
        with self._change:
            self._is_open = True
            self._change.notify_all()

    def clear(self) -> None:
        with self._change:
            self._is_open = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, and leave the pause in the same moment."""
        with self._change:
            is_open = self._change.wait_for(self.is_set, timeout)
            if is_open:
                # Not checked: pynetdicom has no public way.
                self._association._is_paused = False  # pyright: ignore[reportPrivateUsage]
        return is_open


def guard_requests(association: Association) -> None:
    """Put a checkpoint of ours in the place of the library's; before the association is established."""
    # Not checked: pynetdicom has no public way.
    association._reactor_checkpoint = Checkpoint(association)  # pyright: ignore[reportPrivateUsage]

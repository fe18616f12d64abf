"""Asks a source for no longer than its budget, whatever hangs in it."""

import time
from collections.abc import Callable
from multiprocessing import TimeoutError as LateError
from multiprocessing.pool import ThreadPool
from typing import TypeVar

from dicom_node.admission import Patient
from dicom_node.errors import PeerError, UnreachableError
from dicom_node.priors.source import Candidate, PriorSource
from dicom_node.study import Instance
from dicom_node.unreadable import UNREADABLE

Answer = TypeVar("Answer")


class BudgetedSource:
    """A source with the seconds that are left to it and to the whole search.

    A late call is left behind in its thread, a daemon: its own time-outs end it, and what it still brings is
    kept for another time.
    """

    def __init__(self, source: PriorSource, deadline: float) -> None:
        """Let a source work until its budget is used up or `deadline` (of `time.monotonic`) is reached."""
        self.name = source.name
        self._source = source
        self._deadline = deadline
        self._left_s = source.budget_s

    def candidates(self, patient: Patient) -> list[Candidate]:
        """Ask the source.

        Raises:
            NodeError: it cannot answer, or not in time.
        """
        return self._within_budget(lambda: self._source.candidates(patient))

    def fetch(self, candidate: Candidate) -> tuple[Instance, ...]:
        """Fetch from the source.

        Raises:
            NodeError: it cannot deliver, or not in time.
        """
        return self._within_budget(lambda: self._source.fetch(candidate))

    def _within_budget(self, call: Callable[[], Answer]) -> Answer:
        begun = time.monotonic()
        left_s = min(self._left_s, self._deadline - begun)
        if left_s <= 0:
            raise UnreachableError("its time is used up")
        pool = ThreadPool(1)
        try:
            return pool.apply_async(call).get(left_s)
        except LateError as exc:
            raise UnreachableError(f"no answer within {left_s:.0f} s") from exc
        except (RuntimeError, *UNREADABLE) as exc:
            # The first is how the library says that the peer has gone between two requests. Without the
            # cause: what it quotes may be of a patient.
            raise PeerError(f"its answer cannot be used ({type(exc).__name__})") from None
        finally:
            pool.close()
            self._left_s -= time.monotonic() - begun

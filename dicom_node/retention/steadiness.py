"""Whether the clock of the machine may be trusted with what cannot be undone."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from dicom_node.database.connections import Clock

logger = logging.getLogger(__name__)

TRUSTED_AFTER: Final = timedelta(days=1)
"""How long a clock must have gone on by itself: time for people to see that it is wrong."""
MOST_DRIFT: Final = timedelta(hours=1)
"""Against a clock that nobody can set; more means that the machine's was set, or that it slept."""


class Steadiness:
    """Compares the clock that people set with one that only counts."""

    def __init__(self, now: Clock, counted_s: Callable[[], float] = time.monotonic) -> None:
        self._now, self._counted_s = now, counted_s
        self._begin()

    def _begin(self) -> None:
        self._since: datetime = self._now()
        self._since_s = self._counted_s()

    def is_trusted(self) -> bool:
        """Say whether the clock has gone steadily for a day; begin again where it has jumped."""
        went = timedelta(seconds=self._counted_s() - self._since_s)
        if abs(self._now() - self._since - went) > MOST_DRIFT:
            logger.warning("the clock has jumped: nothing is removed for a day")
            self._begin()
            return False
        return went >= TRUSTED_AFTER

"""Pure rules on times and counts: when a study is complete, and when it is open again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from dicom_node.study import Reason, StudyState

MOST_PATIENCE: Final = 10
"""What is awaited, or an association that stays open without sending, delays for at most this many quiet
periods."""
LEAST_STUDIES: Final = 20
"""Studies of a source before its quiet period is learned."""
SHARE_COVERED: Final = 0.98
"""Share of a source's studies whose longest gap lies within half of the learned quiet period."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of a study that is arriving."""

    began_at: datetime
    """When the first instance of this revision came."""
    last_received_at: datetime
    is_open: bool = False
    """An association that sent part of it has not ended."""
    is_in_progress: bool = False
    """A performed procedure step has begun and not ended (MPPS)."""
    is_announced: bool = False
    """A step has ended, or instances were announced (MPPS, IAN): it is known what belongs to it."""
    missing: int = 0
    """Images that were announced and have not come."""
    counted: int | None = None
    """Images that an archive has of it; None if nobody could say."""
    received: int = 0
    """Images that are here."""

    @property
    def awaited(self) -> int:
        """Images that are known to exist and have not come."""
        return max(self.missing, (self.counted or 0) - self.received, 0)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a study is waited for, in seconds."""

    quiet_s: float
    settled_s: float
    limit_s: float


def completed_by(signals: Signals, now: datetime, patience: Patience) -> Reason | None:
    """Say why a study is complete; None if more is to be expected.

    An announcement shortens the wait once everything is here; a count of an archive never does, since the
    archive may still be receiving. What is awaited lengthens it, up to the limit for a step in progress.
    """
    quiet_s = (now - signals.last_received_at).total_seconds()
    is_waiting = signals.is_open or signals.is_in_progress
    if signals.is_announced and not signals.awaited and not is_waiting and quiet_s >= patience.settled_s:
        return Reason.ALL_ARRIVED
    times = MOST_PATIENCE if signals.is_open or signals.awaited else 1
    if not signals.is_in_progress and quiet_s >= patience.quiet_s * times:
        return Reason.INCOMPLETE if signals.awaited else Reason.QUIET_PERIOD
    is_over = (now - signals.began_at).total_seconds() >= patience.limit_s
    return Reason.LIMIT_REACHED if is_over and quiet_s >= patience.settled_s else None


def learned_quiet_s(
    gaps_s: Sequence[float], configured_s: float, shortest_s: float, longest_s: float
) -> float:
    """Return the quiet period for a source, given the longest gap within each of its last studies.

    Twice the gap below which nearly all of them stayed; the configured one while there are too few studies.
    """
    if len(gaps_s) < LEAST_STUDIES:
        return configured_s
    covered = sorted(gaps_s)[min(len(gaps_s) - 1, int(SHARE_COVERED * len(gaps_s)))]
    return min(max(2 * covered, min(shortest_s, configured_s)), max(longest_s, configured_s))


def longest_gap_s(times: Iterable[datetime]) -> float:
    """Return the longest time between two instances of a study, in seconds."""
    gaps = ((late - early).total_seconds() for early, late in pairwise(sorted(times)))
    return max(gaps, default=0.0)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a study stands after something of it has arrived."""

    state: StudyState
    revision: int
    reason: Reason | None = None


def on_arrival(standing: Standing, *, is_for_reading: bool, is_job_begun: bool) -> Standing:
    """Return where a study stands after one more instance.

    Only an image for reading moves it. A revision whose job nobody has begun or ended is taken up again; else
    a new one begins, and its results supersede those of the one before.
    """
    if not is_for_reading or standing.state is StudyState.RECEIVING:
        return standing
    revision = standing.revision + 1 if is_job_begun else standing.revision
    is_late = standing.state is StudyState.COMPLETE
    return Standing(StudyState.RECEIVING, revision, Reason.LATE_INSTANCE if is_late else None)

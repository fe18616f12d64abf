"""Pure rules on times and counts: when a study is complete, and when it is open again."""

from dataclasses import dataclass
from datetime import datetime

from dicom_node.study import Reason, StudyState

MOST_PATIENCE = 10
"""An association that stays open without sending delays a study for at most this many quiet periods."""


def is_complete(last_received_at: datetime, now: datetime, quiet_period_s: float, *, is_open: bool) -> bool:
    """Say whether nothing more is to be expected: quiet for long enough, and no sender still connected.

    `is_open` tells that an association which sent part of the study has not ended.
    """
    quiet_s = (now - last_received_at).total_seconds()
    return quiet_s >= quiet_period_s * (MOST_PATIENCE if is_open else 1)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a study stands after something of it has arrived."""

    state: StudyState
    revision: int
    reason: Reason | None = None


def on_arrival(standing: Standing, *, is_for_reading: bool, is_job_begun: bool) -> Standing:
    """Return where a study stands after one more instance.

    Only an image for reading moves it. A revision whose job nobody has begun is taken up again; else a new
    one begins, and its results supersede those of the one before.
    """
    if not is_for_reading or standing.state is StudyState.RECEIVING:
        return standing
    if standing.state is StudyState.COMPLETE:
        revision = standing.revision + 1 if is_job_begun else standing.revision
        return Standing(StudyState.RECEIVING, revision, Reason.LATE_INSTANCE)
    return Standing(StudyState.RECEIVING, standing.revision)

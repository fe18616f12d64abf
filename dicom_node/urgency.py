"""Which job is next: the more urgent one, unless another has waited too long."""

from datetime import datetime, timedelta
from typing import Final

from dicom_node.study import Priority

OVERTAKEN_FOR: Final[dict[Priority, timedelta]] = {
    Priority.STAT: timedelta(0),
    Priority.HIGH: timedelta(hours=1),
    Priority.ROUTINE: timedelta(days=1),
    Priority.LOW: timedelta(days=3),
}
"""For how long after it was made a job lets more urgent ones that are made later go first."""


def overdue_at(created_at: datetime, priority: Priority) -> datetime:
    """Return the time by which jobs are ordered, the earliest first.

    A STAT study overtakes every routine one of the last day, however many there are; a routine one that has
    waited for a day is as urgent as a STAT study that comes then, so that nothing waits for ever.
    """
    return created_at + OVERTAKEN_FOR[priority]


def priority_of(requested: str) -> Priority:
    """Translate Requested Procedure Priority (0040,1003); what is empty or unknown is routine."""
    try:
        return Priority(requested.strip().lower())
    except ValueError:
        return Priority.ROUTINE

"""Questions about what lies in quarantine, and what people decided about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, select, update

from dicom_node.database.connections import Connections
from dicom_node.database.events import record_event
from dicom_node.database.refusals import refusal_of_row
from dicom_node.database.schema import instances, refusals, rejected_instances
from dicom_node.errors import DecisionError
from dicom_node.study import Refusal


class Fate(StrEnum):
    """What a person can decide about an instance in quarantine."""

    RELEASED = "released"
    """It is used after all."""
    DROPPED = "dropped"
    """Its bytes are deleted; sent again, it is as new."""


@dataclass(frozen=True, slots=True)
class FateDecision:
    """Who decided what about an instance in quarantine, and when."""

    fate: Fate
    at: datetime
    decided_by: str
    why: str
    """As the person wrote it: it may speak of the patient."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One instance in quarantine, or that was."""

    number: int
    refusal: Refusal
    decision: FateDecision | None


class QuarantineRepository:
    """Quarantine as those refusals whose bytes are kept, or were until a person decided."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def all(self) -> Sequence[Quarantined]:
        """Return everything that is or was in quarantine, oldest first."""
        query = select(refusals).where(refusals.c.kept_at.is_not(None)).order_by(refusals.c.refusal_id)
        with self._connections.reading() as connection:
            return [_quarantined(row) for row in connection.execute(query)]

    def get(self, number: int) -> Quarantined:
        """Return one instance by its number.

        Raises:
            DecisionError: nothing with this number is or was in quarantine.
        """
        with self._connections.reading() as connection:
            return _quarantined(_kept(connection, number))

    def decide(self, number: int, fate: Fate, *, decided_by: str, why: str) -> bool:
        """Write down what a person decided; False if it was decided so before.

        Raises:
            DecisionError: there is no such instance, or it was decided otherwise.
        """
        now = self._connections.now()
        with self._connections.writing() as connection:
            row = _kept(connection, number)
            if row.fate is not None and row.fate != fate:
                raise DecisionError(f"{number} was {row.fate} by {row.decided_by}")
            if row.fate is not None:
                return False
            values = {"fate": fate, "decided_at": now, "decided_by": decided_by, "why": why}
            connection.execute(update(refusals).where(refusals.c.refusal_id == number).values(values))
            if fate is Fate.DROPPED:
                _forget(connection, row.kept_at)
            detail = f"quarantine {number} {fate.value} by {decided_by}"
            record_event(connection, now, row.study_instance_uid[:64], "decided", None, detail=detail)
        return True


def _kept(connection: Connection, number: int) -> Row[Any]:
    query = select(refusals).where(refusals.c.refusal_id == number, refusals.c.kept_at.is_not(None))
    row = connection.execute(query.with_for_update()).one_or_none()
    if row is None:
        raise DecisionError(f"nothing in quarantine bears the number {number}; see `quarantine list`")
    return row


def _forget(connection: Connection, kept_at: str) -> None:
    """Drop the row of an instance that was of its study, unless its archive rejected it: that holds on."""
    is_rejected = exists().where(
        rejected_instances.c.sop_instance_uid == instances.c.sop_instance_uid,
        rejected_instances.c.study_instance_uid == instances.c.study_instance_uid,
    )
    gone = delete(instances).where(instances.c.path == kept_at, instances.c.quarantined == 1, ~is_rejected)
    connection.execute(gone)


def _quarantined(row: Row[Any]) -> Quarantined:
    decision = None
    if row.fate is not None:
        decision = FateDecision(Fate(row.fate), row.decided_at, row.decided_by or "", row.why or "")
    return Quarantined(row.refusal_id, refusal_of_row(row), decision)

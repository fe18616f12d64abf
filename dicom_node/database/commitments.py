"""Questions about commitments that others ask of us: what they named, and whether they have the report."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Row, and_, delete, insert, select, update

from dicom_node.database.connections import Connections
from dicom_node.database.schema import commitments, instances, refusals
from dicom_node.storage_commitment.judging import Kept
from dicom_node.storage_commitment.messages import Reference, Request
from dicom_node.study import Reason

AT_ONCE: Final = 500
"""Identifiers in one query."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of somebody who waits for a report."""

    ae_title: str
    request: Request
    attempts: int


class CommitmentRepository:
    """Requests as rows; on stable storage before they are answered."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def take(self, ae_title: str, request: Request) -> bool:
        """Keep a request; one that comes again is to be reported again.

        Returns False if the same peer asked for other objects under this Transaction UID before.
        """
        now = self._connections.now()
        objects = _text(request)
        with self._connections.writing() as connection:
            key = {"transaction_uid": request.transaction_uid, "ae_title": ae_title}
            same = and_(*(commitments.c[name] == value for name, value in key.items()))
            known = connection.execute(select(commitments).where(same)).one_or_none()
            fresh = {"asked_at": now, "not_before": now, "reported_at": None, "attempts": 0}
            if known is None:
                connection.execute(insert(commitments), {**key, **fresh, "objects": objects})
            elif known.objects == objects:
                connection.execute(update(commitments).where(same).values(fresh))
            else:
                return False
        return True

    def due(self, ae_titles: Collection[str]) -> list[Asked]:
        """Return the requests of some peers whose reports are to be sent now, the longest waiting first."""
        query = (
            select(commitments)
            .where(
                commitments.c.reported_at.is_(None),
                commitments.c.not_before <= self._connections.now(),
                commitments.c.ae_title.in_(ae_titles),
            )
            .order_by(commitments.c.asked_at)
        )
        with self._connections.reading() as connection:
            return [_asked(row) for row in connection.execute(query)]

    def reported(self, asked: Asked) -> None:
        """Note that the peer has taken the report."""
        with self._connections.writing() as connection:
            connection.execute(_same(asked).values(reported_at=self._connections.now()))

    def try_later(self, asked: Asked, delay_s: float) -> None:
        """Note that the peer did not take the report."""
        not_before = self._connections.now() + timedelta(seconds=delay_s)
        with self._connections.writing() as connection:
            connection.execute(_same(asked).values(not_before=not_before, attempts=asked.attempts + 1))

    def forget(self, before: datetime) -> None:
        """Forget requests of long ago; a report that nobody took since then is not sent any more."""
        with self._connections.writing() as connection:
            connection.execute(delete(commitments).where(commitments.c.asked_at < before))

    def kept(self, references: Sequence[Reference]) -> dict[str, Kept]:
        """Tell of each object that the store has it; what is not there is left out."""
        found: dict[str, Kept] = {}
        uids = [reference.sop_instance_uid for reference in references]
        with self._connections.reading() as connection:
            for at in range(0, len(uids), AT_ONCE):
                some = uids[at : at + AT_ONCE]
                # What a person decided is settled; what was lost came again, since there is a row.
                doubtful = select(refusals.c.sop_instance_uid).where(
                    refusals.c.sop_instance_uid.in_(some),
                    refusals.c.kept_at.is_not(None),
                    refusals.c.fate.is_(None),
                    refusals.c.reason != Reason.STORAGE_FAULT.name,
                )
                doubted = set(connection.execute(doubtful).scalars())
                query = select(instances).where(instances.c.sop_instance_uid.in_(some))
                for row in connection.execute(query):
                    uid = row.sop_instance_uid
                    is_doubted = bool(row.quarantined) or uid in doubted
                    found[uid] = Kept(row.sop_class_uid, _is_whole(row), is_doubted)
        return found


def _is_whole(row: Row[Any]) -> bool:
    try:
        return Path(row.path).stat().st_size >= row.size
    except OSError:
        return False


def _text(request: Request) -> str:
    return "\n".join(f"{each.sop_class_uid} {each.sop_instance_uid}" for each in request.references)


def _asked(row: Row[Any]) -> Asked:
    pairs = (line.split(" ") for line in row.objects.splitlines())
    request = Request(row.transaction_uid, tuple(Reference(*pair) for pair in pairs))
    return Asked(row.ae_title, request, row.attempts)


def _same(asked: Asked) -> Any:
    return update(commitments).where(
        commitments.c.transaction_uid == asked.request.transaction_uid,
        commitments.c.ae_title == asked.ae_title,
    )

"""Questions about proofs: which destination has shown that it keeps which result."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, select, update

from dicom_node.database.connections import Connections
from dicom_node.database.schema import deliveries, jobs, proofs
from dicom_node.proof import Proof, ProofState
from dicom_node.study import DeliveryState, JobId, JobState, SOPInstanceUID


class ProofRepository:
    """Proofs as rows, one per result object and destination that was asked for it."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def of_job(self, job_id: JobId) -> list[Proof]:
        """Return what is known of the results of a job."""
        query = (
            select(proofs)
            .join(deliveries, _same_delivery())
            .where(deliveries.c.job_id == job_id)
            .order_by(proofs.c.destination, proofs.c.sop_instance_uid)
        )
        with self._connections.reading() as connection:
            return [_proof(row) for row in connection.execute(query)]

    def ask(
        self,
        destination: str,
        uids: Iterable[SOPInstanceUID],
        method: str,
        transaction_uid: str | None = None,
    ) -> None:
        """Note that proof of some results is being asked for; written before the request leaves."""
        now = self._connections.now()
        with self._connections.writing() as connection:
            for uid in uids:
                values = {
                    "method": method,
                    "state": ProofState.ASKED,
                    "asked_at": now,
                    "transaction_uid": transaction_uid,
                }
                more = {**values, "requests": proofs.c.requests + 1}
                if connection.execute(_row(uid, destination).values(more)).rowcount == 0:
                    key = {"sop_instance_uid": uid, "destination": destination}
                    connection.execute(insert(proofs), {**key, **values, "requests": 1})

    def not_asked(self, destination: str, uids: Iterable[SOPInstanceUID]) -> None:
        """Take back that results were asked for: the request did not arrive, or its answer did not."""
        with self._connections.writing() as connection:
            for uid in uids:
                change = _row(uid, destination).where(proofs.c.state == ProofState.ASKED)
                connection.execute(change.values(state=ProofState.OPEN, requests=proofs.c.requests - 1))

    def answer(self, destination: str, uid: SOPInstanceUID, state: ProofState, detail: str) -> None:
        """Note what a destination has shown of one result."""
        now = self._connections.now()
        with self._connections.writing() as connection:
            change = _row(uid, destination).values(state=state, detail=detail, answered_at=now)
            connection.execute(change)

    def report(self, transaction_uid: str, outcomes: Mapping[str, tuple[ProofState, str]]) -> bool:
        """Note what a report of a transaction says, by SOP Instance UID; False if nobody waits for it.

        What was answered before, or asked for in another transaction meanwhile, stays. The job becomes due.
        """
        now = self._connections.now()
        with self._connections.writing() as connection:
            query = select(proofs).where(proofs.c.transaction_uid == transaction_uid)
            waiting = connection.execute(query).all()
            for row in waiting:
                outcome = outcomes.get(row.sop_instance_uid)
                if row.state in (ProofState.ASKED, ProofState.OPEN) and outcome is not None:
                    state, detail = outcome
                    change = _row(row.sop_instance_uid, row.destination)
                    connection.execute(change.values(state=state, detail=detail, answered_at=now))
            _make_due(connection, [row.sop_instance_uid for row in waiting], now)
        return bool(waiting)

    def send_again(self, destination: str, uids: Iterable[SOPInstanceUID]) -> None:
        """Open deliveries again: the same bytes go out once more, and proof is asked for after that."""
        with self._connections.writing() as connection:
            for uid in uids:
                connection.execute(_row(uid, destination).values(state=ProofState.OPEN))
                connection.execute(
                    update(deliveries)
                    .where(
                        deliveries.c.sop_instance_uid == uid,
                        deliveries.c.destination == destination,
                        deliveries.c.state == DeliveryState.DELIVERED,
                    )
                    .values(state=DeliveryState.PENDING)
                )

    def begin_anew(self, destination: str, uids: Iterable[SOPInstanceUID]) -> None:
        """Forget how often proof was asked for: whoever tries again after this has all requests left."""
        with self._connections.writing() as connection:
            for uid in uids:
                connection.execute(_row(uid, destination).values(requests=0))


def _row(uid: str, destination: str) -> Any:
    return update(proofs).where(proofs.c.sop_instance_uid == uid, proofs.c.destination == destination)


def _same_delivery() -> Any:
    return and_(
        deliveries.c.sop_instance_uid == proofs.c.sop_instance_uid,
        deliveries.c.destination == proofs.c.destination,
    )


def _make_due(connection: Connection, uids: list[str], now: Any) -> None:
    of_job = select(deliveries.c.job_id).where(deliveries.c.sop_instance_uid.in_(uids))
    connection.execute(
        update(jobs)
        .where(jobs.c.job_id.in_(of_job), jobs.c.state == JobState.DELIVERING, jobs.c.lease_owner.is_(None))
        .values(not_before=now)
    )


def _proof(row: Row[Any]) -> Proof:
    return Proof(
        sop_instance_uid=SOPInstanceUID(row.sop_instance_uid),
        destination=row.destination,
        method=row.method,
        state=ProofState(row.state),
        requests=row.requests,
        asked_at=row.asked_at,
        answered_at=row.answered_at,
        transaction_uid=row.transaction_uid,
        detail=row.detail,
    )

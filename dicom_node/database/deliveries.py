"""Questions about deliveries: which result object has reached which destination."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from dicom_node.database.connections import Connections
from dicom_node.database.schema import deliveries, results
from dicom_node.study import Delivery, DeliveryState, JobId, SOPInstanceUID

Plan = Mapping[str, Set[str] | None]
"""SOP Instance UIDs that each destination gets, by its name; None: every object of the job."""


class DeliveryRepository:
    """Deliveries as rows, one per result object and destination."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def plan(self, job_id: JobId, destinations: Sequence[str]) -> None:
        """Make sure that every result of a job has a delivery to every destination, by name; idempotent."""
        with self._connections.writing() as connection:
            plan_deliveries(connection, job_id, dict.fromkeys(destinations))

    def of_job(self, job_id: JobId) -> list[Delivery]:
        """Return all deliveries of a job in sending order."""
        with self._connections.reading() as connection:
            return [_delivery(row) for row in connection.execute(_of_job(job_id))]

    def pending(self, job_id: JobId) -> list[Delivery]:
        """Return the planned deliveries that no destination has answered for good, in sending order."""
        query = _of_job(job_id).where(deliveries.c.state == DeliveryState.PENDING)
        with self._connections.reading() as connection:
            return [_delivery(row) for row in connection.execute(query)]

    def record(
        self,
        sop_instance_uid: SOPInstanceUID,
        destination: str,
        state: DeliveryState,
        dimse_status: int | None,
    ) -> None:
        """Write down how one attempt at one delivery ended."""
        change = (
            update(deliveries)
            .where(deliveries.c.sop_instance_uid == sop_instance_uid, deliveries.c.destination == destination)
            .values(state=state, dimse_status=dimse_status, attempts=deliveries.c.attempts + 1)
        )
        with self._connections.writing() as connection:
            connection.execute(change)


def plan_deliveries(connection: Connection, job_id: JobId, plan: Plan) -> None:
    """Add the deliveries of a job that are missing, within a transaction."""
    if not plan:
        return
    uids = (
        connection.execute(select(results.c.sop_instance_uid).where(results.c.job_id == job_id))
        .scalars()
        .all()
    )
    known = {(row.sop_instance_uid, row.destination) for row in connection.execute(_of_job(job_id))}
    rows = [
        {"sop_instance_uid": uid, "destination": name, "job_id": job_id, "state": DeliveryState.PENDING}
        for name, wanted in plan.items()
        for uid in uids
        if (uid, name) not in known and (wanted is None or uid in wanted)
    ]
    if rows:
        connection.execute(insert(deliveries), rows)


def _of_job(job_id: JobId) -> Any:
    return (
        select(deliveries)
        .join(results, results.c.sop_instance_uid == deliveries.c.sop_instance_uid)
        .where(deliveries.c.job_id == job_id)
        .order_by(deliveries.c.destination, results.c.ordinal)
    )


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        sop_instance_uid=SOPInstanceUID(row.sop_instance_uid),
        destination=row.destination,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        dimse_status=row.dimse_status,
    )

"""Questions about the orders behind studies."""

from sqlalchemy import delete, insert, select

from dicom_node.database.connections import Connections
from dicom_node.database.schema import orders
from dicom_node.orders.order import Order
from dicom_node.study import Priority


class OrderRepository:
    """Orders as rows, at most one for a study; they hold what was written about a patient."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def of_study(self, study_instance_uid: str) -> Order | None:
        """Return the order behind a study; None if none is known."""
        query = select(orders).where(orders.c.study_instance_uid == study_instance_uid)
        with self._connections.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return Order(row.indication, row.requested_procedure, row.accession_number, Priority(row.priority))

    def keep(self, study_instance_uid: str, order: Order) -> None:
        """Keep the order behind a study; it replaces one that was known."""
        with self._connections.writing() as connection:
            connection.execute(delete(orders).where(orders.c.study_instance_uid == study_instance_uid))
            connection.execute(
                insert(orders),
                {
                    "study_instance_uid": study_instance_uid,
                    # PostgreSQL has no text with NUL in it.
                    "indication": order.indication.replace("\0", " "),
                    "requested_procedure": order.requested_procedure.replace("\0", " "),
                    "accession_number": order.accession_number[:64],
                    "priority": order.priority,
                    "found_at": self._connections.now(),
                },
            )

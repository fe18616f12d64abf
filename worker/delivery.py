"""Sends stored results, counts each object by its own C-STORE status, and says what is left."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from dicom_node.database.engine import Database
from dicom_node.dimse_status import is_stored
from dicom_node.errors import UnreachableError
from dicom_node.scu import SendOutcome
from dicom_node.settings import Destination
from dicom_node.study import DeliveryState, JobId, Reason, StoredResult
from worker.errors import UndeliveredError

logger = logging.getLogger(__name__)

SR = "SR"

Send = Callable[[Destination, Sequence[Path]], Sequence[SendOutcome]]


Prove = Callable[[Destination, Sequence[StoredResult]], UndeliveredError | None]
"""Asks a destination that has accepted all results to show that it keeps them; why it is not done, if so."""


def no_proof(destination: Destination, results: Sequence[StoredResult]) -> None:
    """Take the answer to each object as proof."""


def is_transient(status: int | None) -> bool:
    """Say whether another try may succeed: no answer at all, or out of resources (0xA7xx)."""
    return status is None or status >> 8 == 0xA7


def deliver(
    database: Database,
    send: Send,
    destinations: Iterable[Destination],
    job_id: JobId,
    prove: Prove = no_proof,
) -> None:
    """Send what each destination has not yet accepted, in the order of writing, the SR last; have it proven.

    A destination that fails does not keep the others from their objects.

    Raises:
        UndeliveredError: some destination has not accepted every object, or not shown that it keeps it.
    """
    results = database.results.of_job(job_id)
    destinations = tuple(destinations)
    faults = [
        fault
        for destination in destinations
        if (fault := _deliver_to(database, send, destination, results) or prove(destination, results))
        is not None
    ]
    known = {destination.name for destination in destinations}
    if gone := sorted({each.destination for each in database.deliveries.pending(job_id)} - known):
        # Renamed or taken out of the configuration meanwhile; to end as delivered would be untrue.
        detail = f"no destination {', '.join(gone)} in the configuration any more"
        faults.append(UndeliveredError(Reason.PEER_UNREACHABLE, detail, is_final=False))
    if faults:
        # A fault that a further try may mend comes first: the job stays alive for it.
        raise min(faults, key=lambda fault: fault.is_final)


def _deliver_to(
    database: Database, send: Send, destination: Destination, results: Sequence[StoredResult]
) -> UndeliveredError | None:
    if not results:
        return None
    if refused := _in_state(database, destination, results, DeliveryState.REFUSED):
        detail = f"{destination.name}: {len(refused)} objects refused for good"
        return UndeliveredError(Reason.PEER_REFUSED, detail, is_final=True)
    # The SR names the other objects: it is not sent before they have all arrived.
    for is_report in (False, True):
        # Asked each time: the job may have been cancelled meanwhile.
        waiting = _in_state(database, destination, results, DeliveryState.PENDING)
        group = [result for result in waiting if (result.modality == SR) is is_report]
        if fault := _send_group(database, send, destination, group):
            return fault
    return None


def _in_state(
    database: Database, destination: Destination, results: Sequence[StoredResult], state: DeliveryState
) -> list[StoredResult]:
    """Return those of a job's results, in sending order, whose delivery to a destination is in a state."""
    mine = {
        delivery.sop_instance_uid
        for delivery in database.deliveries.of_job(results[0].job_id)
        if delivery.destination == destination.name and delivery.state is state
    }
    return sorted((r for r in results if r.sop_instance_uid in mine), key=lambda r: r.ordinal)


def _send_group(
    database: Database, send: Send, destination: Destination, group: Sequence[StoredResult]
) -> UndeliveredError | None:
    if not group:
        return None
    try:
        outcomes = send(destination, [result.path for result in group])
    except UnreachableError as error:
        return UndeliveredError(Reason.PEER_UNREACHABLE, f"{destination.name}: {error}", is_final=False)
    statuses = {outcome.sop_instance_uid: outcome.status for outcome in outcomes}
    refused: list[str] = []
    is_final = True
    for result in group:
        status = statuses.get(result.sop_instance_uid)
        state = _state(status)
        database.deliveries.record(result.sop_instance_uid, destination.name, state, status)
        if state is not DeliveryState.DELIVERED:
            code = "no answer" if status is None else f"0x{status:04X}"
            refused.append(f"{result.modality} {code}")
            is_final = is_final and state is DeliveryState.REFUSED
    logger.info(
        "objects sent",
        extra={"job_id": group[0].job_id, "destination": destination.name, "sent": len(group) - len(refused)},
    )
    if not refused:
        return None
    detail = f"{destination.name}: {', '.join(refused)}"
    return UndeliveredError(Reason.PEER_REFUSED, detail, is_final=is_final)


def _state(status: int | None) -> DeliveryState:
    if is_stored(status):
        return DeliveryState.DELIVERED
    return DeliveryState.PENDING if is_transient(status) else DeliveryState.REFUSED

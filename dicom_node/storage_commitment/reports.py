"""What a peer reports of our own requests for commitment (N-EVENT-REPORT, PS3.4 J.3.3)."""

import logging

from pynetdicom import evt

from dicom_node.database.engine import Database
from dicom_node.dimse_status import INVALID_ARGUMENT, PROCESSING_FAILURE, SUCCESS
from dicom_node.errors import IdentityError
from dicom_node.proof import ProofState
from dicom_node.storage_commitment.messages import FAILURE_REASONS, Report, read_report

logger = logging.getLogger(__name__)


def take_report(database: Database, event: evt.Event) -> int:
    """Write down what a report says; return the status of the response."""
    try:
        report = read_report(event.event_information)
    except (IdentityError, ValueError, AttributeError) as exc:
        logger.warning("a report of commitment cannot be read", extra={"error": type(exc).__name__})
        return INVALID_ARGUMENT
    is_awaited = database.proofs.report(report.transaction_uid, _outcomes(report))
    counts = {"committed": len(report.committed), "failed": len(report.failed)}
    logger.info("commitment reported", extra={**counts, "is_awaited": is_awaited})
    # A report that comes twice is answered as the first one was.
    return SUCCESS if is_awaited else PROCESSING_FAILURE


def _outcomes(report: Report) -> dict[str, tuple[ProofState, str]]:
    outcomes = {each.sop_instance_uid: (ProofState.PROVEN, "committed") for each in report.committed}
    for reference, reason in report.failed:
        words = FAILURE_REASONS.get(reason, "other reason")
        outcomes[reference.sop_instance_uid] = (ProofState.MISSING, f"0x{reason:04X} {words}")
    return outcomes

"""Storage Commitment as SCP (PS3.4 J): takes requests, and reports on an association of ours or of theirs."""

import logging
import threading
from collections.abc import Sequence
from functools import partial
from typing import Final

from pynetdicom import build_role, evt
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from dicom_node.database.commitments import Asked
from dicom_node.database.engine import Database
from dicom_node.dimse_status import INVALID_ARGUMENT, NO_SUCH_ACTION, SUCCESS
from dicom_node.errors import (
    IdentityError,
    PeerError,
    RefusedError,
    SettingsError,
    StorageError,
    UnreachableError,
)
from dicom_node.modality_settings import Modality
from dicom_node.scu import associated
from dicom_node.storage_commitment.judging import judged
from dicom_node.storage_commitment.messages import (
    REQUEST,
    STORAGE_COMMITMENT,
    WELL_KNOWN_INSTANCE,
    read_request,
    written_report,
)
from dicom_node.upper_layer.association import AcceptedAssociation

logger = logging.getLogger(__name__)

NOT_TAKEN: Final = (PeerError, SettingsError, ValueError, RuntimeError)
"""How a report fails; the last two are the library's: the peer leaves us no role for it, or has gone."""
LOOK_EVERY_S: Final = 0.5
FIRST_DELAY_S: Final = 10.0
LONGEST_DELAY_S: Final = 900.0


def take_request(database: Database, modalities: Sequence[Modality], event: evt.Event) -> int:
    """Keep a request for commitment (N-ACTION); return the status of the response."""
    if event.action_type != REQUEST:
        return NO_SUCH_ACTION
    try:
        request = read_request(event.action_information)
    except (IdentityError, ValueError, AttributeError) as exc:
        logger.warning("a request for commitment cannot be read", extra={"error": type(exc).__name__})
        return INVALID_ARGUMENT
    ae_title = event.assoc.requestor.ae_title.strip()
    if not database.commitments.take(ae_title, request):
        logger.warning("a Transaction UID is used for other objects than before")
        return INVALID_ARGUMENT
    if ae_title not in {modality.ae_title for modality in modalities} and isinstance(
        event.assoc, AcceptedAssociation
    ):
        asked = Asked(ae_title, request, 0)
        event.assoc.afterwards.append(partial(_report_on_the_same, database, asked))
    return SUCCESS


def _report_on_the_same(database: Database, asked: Asked, association: Association) -> None:
    try:
        _report(database, asked, association)
    except (StorageError, *NOT_TAKEN) as exc:
        logger.warning("commitment could not be reported", extra={"error": type(exc).__name__})


def _report(database: Database, asked: Asked, association: Association) -> None:
    report = judged(asked.request, database.commitments.kept(asked.request.references))
    kind, ds = written_report(report)
    status, _ = association.send_n_event_report(ds, kind, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE)
    code = status.get("Status")
    if code is None:
        raise UnreachableError("no answer to N-EVENT-REPORT")
    if code != SUCCESS:
        raise RefusedError("N-EVENT-REPORT", code)
    database.commitments.reported(asked)
    counts = {"committed": len(report.committed), "failed": len(report.failed)}
    logger.info("commitment reported", extra=counts)


class CommitmentReporter:
    """Sends reports to those whose addresses are known, until they take them."""

    def __init__(self, modalities: Sequence[Modality], database: Database) -> None:
        self._peers = {modality.ae_title: modality for modality in modalities}
        self._database = database

    def run(self, stop: threading.Event) -> None:
        """Report what is due until told to stop."""
        while self._peers and not stop.wait(LOOK_EVERY_S):
            try:
                self.report_due()
            except StorageError:
                logger.exception("the index cannot be used; trying again")

    def report_due(self) -> None:
        """Try each report that is due once; the first failure of a peer ends its turn.

        Raises:
            StorageError: the index cannot be used.
        """
        silent: set[str] = set()
        for asked in self._database.commitments.due(self._peers.keys()):
            if asked.ae_title in silent:
                continue
            try:
                self._report_to(self._peers[asked.ae_title], asked)
            except NOT_TAKEN as exc:
                silent.add(asked.ae_title)
                delay_s = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(asked.attempts, 10))
                self._database.commitments.try_later(asked, delay_s)
                logger.warning("commitment could not be reported", extra={"error": type(exc).__name__})

    def _report_to(self, peer: Modality, asked: Asked) -> None:
        role = build_role(STORAGE_COMMITMENT, scp_role=True)
        with associated(peer, [build_context(STORAGE_COMMITMENT)], [role]) as association:
            _report(self._database, asked, association)

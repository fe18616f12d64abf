"""Storage Commitment as SCU: asks a peer to commit itself to objects (PS3.4 J.3.2)."""

import threading
from collections.abc import Callable

from pydicom import Dataset
from pynetdicom import evt
from pynetdicom.presentation import build_context

from dicom_node.dimse_status import SUCCESS
from dicom_node.errors import RefusedError, UnreachableError
from dicom_node.scu import Peer, associated
from dicom_node.storage_commitment.messages import (
    REQUEST,
    STORAGE_COMMITMENT,
    WELL_KNOWN_INSTANCE,
    Request,
    written_request,
)

SAME_ASSOCIATION_S = 1.0
"""How long the association stays open for a peer that reports on it."""


def ask_for_commitment(peer: Peer, request: Request, on_report: Callable[[evt.Event], int]) -> None:
    """Send an N-ACTION; a report on the same association goes to `on_report`, a later one to the listener.

    Raises:
        UnreachableError: no association, or no answer.
        RefusedError: the peer does not take the request.
    """
    reported = threading.Event()

    def on_event(event: evt.Event) -> tuple[int, Dataset | None]:
        try:
            return on_report(event), None
        finally:
            reported.set()

    context = build_context(STORAGE_COMMITMENT)
    with associated(peer, [context], handlers=[(evt.EVT_N_EVENT_REPORT, on_event)]) as association:
        status, _ = association.send_n_action(
            written_request(request), REQUEST, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE
        )
        code = status.get("Status")
        if code is None:
            raise UnreachableError(f"{peer.name}: no answer to N-ACTION")
        if code != SUCCESS:
            raise RefusedError(f"{peer.name}: N-ACTION", code)
        reported.wait(SAME_ASSOCIATION_S)

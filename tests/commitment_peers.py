"""Archives that are asked for commitment, made of pynetdicom, each with one habit."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE, StoragePresentationContexts, build_role, evt

from tests.associating import associated

STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
NATIVE: list[str | UID] = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]


def report_of(request: Dataset, failed: Sequence[str] = (), reason: int = 0x0112) -> tuple[int, Dataset]:
    """Event Type and Event Information (PS3.4 table J.3-2), written without the code under test."""
    ds = Dataset()
    ds.TransactionUID = request.TransactionUID
    items = list(request.ReferencedSOPSequence)
    good = [item for item in items if item.ReferencedSOPInstanceUID not in failed]
    bad = [item for item in items if item.ReferencedSOPInstanceUID in failed]
    if good:
        ds.ReferencedSOPSequence = good
    if bad:
        for item in bad:
            item.FailureReason = reason
        ds.FailedSOPSequence = bad
    return (2 if bad else 1), ds


@dataclass
class CommittingArchive:
    """Stores everything; what it does with a request for commitment is up to `on_request`."""

    on_request: Callable[["CommittingArchive", evt.Event], None] = lambda archive, event: None
    received: list[str] = field(default_factory=list)
    requests: list[Dataset] = field(default_factory=list)
    status: int = 0x0000
    """Of its answer to each request."""
    answers: list[int] = field(default_factory=list)
    """Statuses with which reports were answered."""

    def __post_init__(self) -> None:
        ae = AE("PACS")
        for context in StoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax, NATIVE)
        ae.add_supported_context(STORAGE_COMMITMENT, NATIVE)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._commit)]
        self.server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port: int = self.server.server_address[1]

    def _store(self, event: evt.Event) -> int:
        self.received.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    def _commit(self, event: evt.Event) -> tuple[int, None]:
        self.requests.append(event.action_information)
        self.on_request(self, event)
        return self.status, None

    def report(self, port: int, kind: int, ds: Dataset) -> None:
        """Report on a new association, as an SCP that asks for its role (PS3.7 D.3.3.4)."""
        ae = AE("PACS")
        ae.add_requested_context(STORAGE_COMMITMENT)
        roles = [build_role(STORAGE_COMMITMENT, scp_role=True)]
        with associated(ae, port, ext_neg=roles) as assoc:
            assert assoc.is_established
            status, _ = assoc.send_n_event_report(ds, kind, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE)
            self.answers.append(status.Status)

    def report_on_the_same(self, event: evt.Event) -> None:
        """Report on the association of the request, once the request is answered."""
        kind, ds = report_of(event.action_information)

        def report() -> None:
            status, _ = event.assoc.send_n_event_report(ds, kind, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE)
            self.answers.append(status.Status)

        threading.Thread(target=report, daemon=True).start()

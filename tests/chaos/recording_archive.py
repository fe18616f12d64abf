"""A PACS that remembers everything that it was ever sent, and can be away."""

import time
from collections import defaultdict
from threading import Lock
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, StoragePresentationContexts, evt

from worker.demo.servers import free_port

AE_TITLE = "PACS"


class RecordingArchive:
    """A C-STORE SCP; `received` holds every data set that came under a SOP Instance UID."""

    def __init__(self) -> None:
        self.port = free_port()
        self.received: defaultdict[str, list[bytes]] = defaultdict(list)
        self.delay_s = 0.0
        """Seconds that each answer takes."""
        self._lock = Lock()
        self._server: Any = None

    def start(self) -> None:
        ae = AE(AE_TITLE)
        for context in StoragePresentationContexts:
            ae.add_supported_context(
                context.abstract_syntax, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
            )
        handlers = [(evt.EVT_C_STORE, self._store)]
        self._server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _store(self, event: evt.Event) -> int:
        time.sleep(self.delay_s)
        request = event.request
        with self._lock:
            self.received[str(request.AffectedSOPInstanceUID)].append(request.DataSet.getvalue())
        return 0x0000

"""One accepted association: pynetdicom's, with our provider and without polling."""

import queue
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.transport import AddressInformation

from dicom_node.upper_layer.dialogue import BeginStore
from dicom_node.upper_layer.guarded_socket import GuardedSocket
from dicom_node.upper_layer.provider import TICK_S, StreamingProvider

MODE_ACCEPTOR = "acceptor"

StoreBeginner = Callable[[Association], BeginStore]
"""Makes for one association the function that begins each of its C-STOREs."""


class AcceptedAssociation(Association):
    """An association that a peer has asked for."""

    def __init__(
        self,
        ae: ApplicationEntity,
        connection: socket.socket,
        address: tuple[str, int],
        begin_on: StoreBeginner,
        on_end: Callable[[], None],
    ) -> None:
        super().__init__(ae, MODE_ACCEPTOR)
        self.name = f"AcceptorThread@{address[0]}:{address[1]}"
        self.daemon = True
        self._connection = connection
        self._on_end = on_end
        self.afterwards: deque[Callable[[Association], None]] = deque()
        """What is to be sent to the peer on this association once it leaves time for it."""
        self.dul = self._provider = StreamingProvider(self, begin_on(self), ae.maximum_pdu_size)
        try:
            self._set_up(connection, address)
        except OSError:
            self._provider.close()
            raise

    def _set_up(self, connection: socket.socket, address: tuple[str, int]) -> None:
        ae = self.ae
        # Once more, for the provider that is there now.
        self.acse_timeout = ae.acse_timeout
        self.network_timeout = ae.network_timeout
        self.set_socket(GuardedSocket(self, connection))
        self.acceptor.maximum_length = ae.maximum_pdu_size
        self.acceptor.ae_title = ae.ae_title
        self.acceptor.address_info = AddressInformation.from_tuple(connection.getsockname())
        self.acceptor.implementation_class_uid = ae.implementation_class_uid
        self.acceptor.implementation_version_name = ae.implementation_version_name
        self.requestor.address_info = AddressInformation.from_tuple(address)

    def start(self) -> None:
        """Begin to serve.

        Raises:
            RuntimeError: there are too many threads.
        """
        try:
            super().start()
        except RuntimeError:
            self._provider.close()
            raise

    def run_reactor(self) -> None:
        try:
            super().run_reactor()
        finally:
            if not self._provider.is_alive():
                self._provider.close()  # which it has done itself, if it ever ran
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)
            self._connection.close()
            self._on_end()

    def _run_reactor(self) -> None:
        self._wake_on_acse_primitives()
        while not self._kill:
            try:
                context_id, message = self.dimse.msg_queue.get(timeout=TICK_S)
            except queue.Empty:
                context_id = message = None
            self._provider.answer_overdue()
            if message is not None and context_id is not None:
                self._serve_request(message, context_id)
            if self._has_ended():
                self.kill()
                return
            if message is None and self.afterwards:
                self._send(self.afterwards.popleft())

    def _send(self, request: Callable[[Association], None]) -> None:
        """Make a request of our own on this thread: nobody else takes the answer from the queue."""
        self._is_paused = True
        try:
            request(self)
        finally:
            self._is_paused = False

    def _wake_on_acse_primitives(self) -> None:
        """Release and abort come by another queue than messages: let them wake the same wait."""
        put = self.dul.to_user_queue.put
        wake = self.dimse.msg_queue.put

        def put_and_wake(item: "object", *args: "object", **kwargs: "object") -> None:
            put(item, *args, **kwargs)  # type: ignore[arg-type] # passed through
            wake((None, None))

        self.dul.to_user_queue.put = put_and_wake  # type: ignore[method-assign] # this one queue only

    def _has_ended(self) -> bool:
        """Answer a release, note an abort; say whether the association is over."""
        if self.is_established and self.acse.is_release_requested():
            self.acse.send_release(is_response=True)
            self.is_released, self.is_established = True, False
            evt.trigger(self, evt.EVT_RELEASED, {})
            return True
        if self.acse.is_aborted():
            self.dul.receive_pdu(wait=False)
            self.is_aborted, self.is_established = True, False
            evt.trigger(self, evt.EVT_ABORTED, {})
            return True
        if self.dul.idle_timer_expired():
            self.abort()
            return True
        return not self.dul.is_alive()

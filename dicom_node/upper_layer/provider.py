"""The upper layer of one accepted association: C-STORE data go to the intake fragment by fragment.

pynetdicom's own path assembles each PDU, decodes it, assembles the message and passes it to another thread
that polls. Here the thread that reads the socket writes what it reads, so memory stays flat however large the
object and the answer leaves as soon as it is due. All but P-DATA in the state of data transfer stays with the
library.
"""

import logging
import os
import select
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any, Final

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import InvalidEventError
from pynetdicom.pdu_primitives import P_DATA

from dicom_node.errors import ProtocolError
from dicom_node.upper_layer.dialogue import BeginStore, StoreDialogue
from dicom_node.upper_layer.guarded_socket import BUFFER_BYTES, GuardedSocket, patience_s
from dicom_node.upper_layer.p_data import PDU_HEADER, Fragment, PDataReader

logger = logging.getLogger(__name__)

IDLE: Final = "Sta1"
DATA_TRANSFER: Final = "Sta6"
AWAITING_CLOSE: Final = "Sta13"
INVALID_PDU, CONNECTION_CLOSED = "Evt19", "Evt17"
MAX_DISCARDED_BYTES: Final = 1 << 22
"""What is taken from a peer after an abort, so that it can read the abort before the connection is closed."""
HEADERS_BYTES: Final = 1 << 12
"""What is read at once where large fragments follow their headers: the rest is received in place."""
TICK_S: Final = 0.25
LINGER_S: Final = 0.02
"""How long the next bytes are waited for before the library's loop has its turn."""


class StreamingProvider(DULServiceProvider):
    """pynetdicom's upper layer service provider with its reading replaced."""

    def __init__(self, assoc: Association, begin: BeginStore, max_pdu_bytes: int) -> None:
        super().__init__(assoc)
        self.daemon = True
        self._run_loop_delay = 0
        self._dialogue = StoreDialogue(begin, self._respond, self._pass_on, self._is_accepted)
        self._reader = PDataReader(self._dialogue, max_pdu_bytes)
        self._deadline: float | None = None
        """When the PDU that has begun must be complete; `_deadline_of` tells which one that is."""
        self._deadline_of = 0
        self._has_begun = self._has_ended = False
        self._discarded = 0
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self._polled_socket: int | None = None

    def receive_pdu(self, wait: bool = False, timeout: float | None = None) -> Any:
        """Return the next primitive; stop waiting for one when the connection has ended."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            primitive = super().receive_pdu(wait, TICK_S if wait else None)
            is_late = deadline is not None and time.monotonic() > deadline
            if primitive is not None or not wait or is_late or self._is_over():
                return primitive

    def _is_over(self) -> bool:
        return self._has_ended or (self._has_begun and self.state_machine.current_state == IDLE)

    def run_reactor(self) -> None:
        try:
            super().run_reactor()
        except InvalidEventError:
            # An answer of ours crossed an abort: the connection is closed by the association's own thread.
            logger.warning("association aborted", extra={"fault": "the peer is out of step"})
        finally:
            self._dialogue.abandon()
            self.close()
            # The association's own thread waits for primitives or messages: let it see that none will come.
            self._has_ended = True
            self.to_user_queue.put(None)  # type: ignore[arg-type] # as `get` of an empty queue answers
            self.assoc.dimse.msg_queue.put((None, None))

    def answer_overdue(self) -> None:
        """See `StoreDialogue.answer_overdue`."""
        self._dialogue.answer_overdue()

    def close(self) -> None:
        """Give back what it holds of the system; for one that never ran, too."""
        wake, self._wake = self._wake, -1
        if wake >= 0:
            os.close(wake)

    def send_pdu(self, primitive: "object") -> None:
        super().send_pdu(primitive)  # type: ignore[arg-type] # the library's union of primitives
        self._notify()

    def kill_dul(self) -> None:
        super().kill_dul()
        self._notify()

    def _notify(self) -> None:
        if self._wake >= 0:
            with suppress(OSError):  # it may be closed just now
                os.eventfd_write(self._wake, 1)

    def _is_transport_event(self) -> bool:
        wrapper = self.socket
        self._has_begun = self._has_begun or self.state_machine.current_state != IDLE
        if not isinstance(wrapper, GuardedSocket) or wrapper.socket is None:
            time.sleep(0.001)
            return super()._is_transport_event()
        if self.state_machine.current_state == AWAITING_CLOSE:
            return self._discard(wrapper)
        if not self.event_queue.empty():
            return False
        if wrapper.must_wait and not self._wait(wrapper, TICK_S):
            self._check_deadline()
            return not self.event_queue.empty()
        # Going round the library's loop costs a yield to the scheduler: stay while there is more to read.
        self._read_pdu_data()
        while self._may_go_on():
            if self._reader.has_room and self._read_in_place(wrapper):
                self._idle_timer.restart()
            elif not wrapper.must_wait or self._wait(wrapper, LINGER_S):
                self._idle_timer.restart()
                self._read_pdu_data()
            else:
                break
        return True

    def _read_in_place(self, wrapper: GuardedSocket) -> bool:
        """Receive large fragments where they are kept; False if that cannot be, or nothing comes."""
        reader = self._reader
        room = reader.room() if wrapper.is_empty and wrapper.is_plain else None
        if room is None:
            return False
        received: int | None = 0
        with self._faults_as_events():
            while room is not None:
                received = wrapper.receive_into(room, reader.ahead)
                if received is None:
                    break
                reader.took_in_place(room[:received])
                wrapper.consume(reader.feed(wrapper.buffered))
                is_steady = received == len(room) and wrapper.is_empty and self._may_go_on()
                room = reader.room() if is_steady else None
            self._after_reading(wrapper)
        return received is not None

    def _discard(self, wrapper: GuardedSocket) -> bool:
        """Throw away what still comes, and close when nothing or too much does: it need not be in step."""
        self._discarded += len(wrapper.buffered)
        wrapper.consume(len(wrapper.buffered))
        try:
            is_more = wrapper.ready and wrapper.fill()
        except OSError:
            is_more = False
        if not is_more or self._discarded > MAX_DISCARDED_BYTES:
            wrapper.close()
        return True

    def _may_go_on(self) -> bool:
        return (
            self.state_machine.current_state == DATA_TRANSFER
            and self.event_queue.empty()
            and self.to_provider_queue.empty()
            and not self._kill_thread
        )

    def _wait(self, wrapper: GuardedSocket, timeout_s: float) -> bool:
        """Wait for the peer, for something to send, or for a tick; say whether the peer has sent."""
        assert wrapper.socket is not None  # noqa: S101 - checked by the caller
        if wrapper.has_pending:
            return True
        descriptor = wrapper.socket.fileno()
        if descriptor < 0:
            self.event_queue.put(CONNECTION_CLOSED)
            return False
        if self._polled_socket != descriptor:
            self._poll.register(descriptor, select.POLLIN)
            self._polled_socket = descriptor
        ready = {fd for fd, _ in self._poll.poll(timeout_s * 1000)}
        if self._wake in ready:
            os.eventfd_read(self._wake)
        return descriptor in ready

    def _check_deadline(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            self._deadline = None
            logger.warning("association aborted: a PDU came too slowly")
            self.event_queue.put(INVALID_PDU)

    def _read_pdu_data(self) -> None:
        wrapper = self.socket
        if self.state_machine.current_state != DATA_TRANSFER or not isinstance(wrapper, GuardedSocket):
            super()._read_pdu_data()
            return
        with self._faults_as_events():
            is_header = wrapper.is_plain and self._reader.is_in_large_pieces
            most = HEADERS_BYTES if is_header else BUFFER_BYTES
            if wrapper.must_wait and not wrapper.fill(most):
                raise ConnectionResetError
            wrapper.consume(self._reader.feed(wrapper.buffered))
            self._after_reading(wrapper)

    @contextmanager
    def _faults_as_events(self) -> Generator[None]:
        """Tell the library's state machine what is wrong with peer or connection."""
        try:
            yield
        except ProtocolError as exc:
            logger.warning("association aborted", extra={"fault": str(exc)})
            self.event_queue.put(INVALID_PDU)
        except OSError:
            self.event_queue.put(CONNECTION_CLOSED)

    def _after_reading(self, wrapper: GuardedSocket) -> None:
        left = wrapper.buffered
        if not self._reader.pdu_left and len(left) >= PDU_HEADER.size:
            # Something other than P-DATA-TF: release, abort, or nonsense.
            self._deadline = None
            super()._read_pdu_data()
            return
        wrapper.is_stalled = True
        if not self._reader.pdu_left and not left:
            self._deadline = None
        elif self._deadline is None or self._deadline_of != self._reader.pdus_begun:
            self._deadline = time.monotonic() + patience_s(self._reader.pdu_left)
            self._deadline_of = self._reader.pdus_begun
        else:
            self._check_deadline()

    def _respond(self, pdu: bytes) -> None:
        wrapper = self.socket
        if wrapper is None or wrapper.socket is None:
            raise OSError("the connection is closed")
        wrapper.socket.sendall(pdu)

    def _pass_on(self, fragment: Fragment) -> None:
        """Give part of another message to the library."""
        control = int(fragment.is_command) | int(fragment.is_last) << 1
        value = [fragment.context_id, bytes((control,)) + bytes(fragment.content)]
        primitive = P_DATA()
        # It takes lists only, whatever its annotation says.
        # Not checked: its type is declared too narrow.
        primitive.presentation_data_value_list = [value]  # pyright: ignore[reportAttributeAccessIssue]
        self.assoc.dimse.receive_primitive(primitive)

    def _is_accepted(self, context_id: int) -> bool:
        # The library offers only a list.
        # Not checked: pynetdicom has no public way.
        return context_id in self.assoc._accepted_cx  # pyright: ignore[reportPrivateUsage]

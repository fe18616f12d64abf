"""The upper layer of one accepted association: C-STORE data go to the intake fragment by fragment.

pynetdicom's own path assembles each PDU, decodes it, assembles the message and passes it to another thread
that polls. Here the thread that reads the socket writes what it reads, so memory stays flat however large the
object and the answer leaves as soon as it is due. All but P-DATA in the state of data transfer stays with the
library.
"""

import logging
import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import InvalidEventError
from pynetdicom.pdu_primitives import P_DATA

from dicom_node.dimse_status import OUT_OF_RESOURCES
from dicom_node.errors import ProtocolError
from dicom_node.upper_layer.dimse_messages import (
    C_STORE_RQ,
    COMMAND_FIELD,
    DATA_SET_TYPE,
    MESSAGE_ID,
    NO_DATA_SET,
    CommandSet,
    for_library,
    parse_command,
    store_response,
)
from dicom_node.upper_layer.guarded_socket import GuardedSocket, patience_s
from dicom_node.upper_layer.p_data import PDU_HEADER, Fragment, PDataReader

logger = logging.getLogger(__name__)

IDLE: Final = "Sta1"
DATA_TRANSFER: Final = "Sta6"
AWAITING_CLOSE: Final = "Sta13"
INVALID_PDU, CONNECTION_CLOSED = "Evt19", "Evt17"
MAX_COMMAND_BYTES: Final = 1 << 16
MAX_OTHER_BYTES: Final = 1 << 20
"""Bytes of a data set that comes with any other request than C-STORE."""
MAX_DISCARDED_BYTES: Final = 1 << 22
"""What is taken from a peer after an abort, so that it can read the abort before the connection is closed."""
TICK_S: Final = 0.25
LINGER_S: Final = 0.02
"""How long the next bytes are waited for before the library's loop has its turn."""


class Receiving(Protocol):
    """One data set on its way in."""

    def write(self, fragment: memoryview) -> None: ...

    def abort(self) -> None: ...

    def patience_s(self) -> float:
        """How long the answer may take until the peer is told that it cannot be had."""
        ...

    def answer(self) -> tuple[int, str]:
        """Make it durable and return status and comment of the response; never raises."""
        ...


BeginStore = Callable[[CommandSet, int], Receiving]
"""(command set, presentation context id) -> where the data set goes."""


class _Owed:
    """The one answer to a request, given by whoever claims it first."""

    def __init__(self, context_id: int, command: CommandSet, patience_s: float) -> None:
        self.context_id = context_id
        self.command = command
        self.due = time.monotonic() + patience_s
        self._lock = threading.Lock()

    def claim(self) -> bool:
        return self._lock.acquire(blocking=False)


class StoreDialogue:
    """One association's requests, data sets and responses, one message at a time (PS3.7 D.3.3.3)."""

    def __init__(
        self,
        begin: BeginStore,
        respond: Callable[[bytes], None],
        pass_on: Callable[[Fragment], None],
        is_accepted: Callable[[int], bool],
    ) -> None:
        self._begin = begin
        self._respond = respond
        self._pass_on = pass_on
        self._is_accepted = is_accepted
        self._encoded_command = bytearray()
        self._context_id = 0
        self._command: CommandSet | None = None
        self._receiving: Receiving | None = None
        self._owed: _Owed | None = None
        self._other_bytes = 0

    def take(self, fragment: Fragment) -> None:
        if not self._is_accepted(fragment.context_id):
            raise ProtocolError("a fragment names a presentation context that was not accepted")
        if fragment.is_command:
            self._take_command(fragment)
        else:
            self._take_data(fragment)

    def _take_command(self, fragment: Fragment) -> None:
        if self._command is not None or (self._encoded_command and fragment.context_id != self._context_id):
            raise ProtocolError("a command set begins before the message before it has ended")
        self._context_id = fragment.context_id
        self._encoded_command += fragment.content
        if len(self._encoded_command) > MAX_COMMAND_BYTES:
            raise ProtocolError("a command set is longer than it may be")
        if fragment.is_last:
            encoded = bytes(self._encoded_command)
            self._encoded_command.clear()
            self._begin_message(encoded)

    def _begin_message(self, encoded: bytes) -> None:
        command = parse_command(encoded)
        has_data_set = command.get(DATA_SET_TYPE) != NO_DATA_SET
        if command.get(COMMAND_FIELD) != C_STORE_RQ:
            self._pass_on(Fragment(self._context_id, True, True, memoryview(for_library(command))))
        elif len(command.get(MESSAGE_ID, b"")) != 2:
            raise ProtocolError("a request has no Message ID")
        else:
            self._receiving = self._begin(command, self._context_id)
        self._command = command
        self._other_bytes = 0
        if not has_data_set:
            self._end_message()

    def _take_data(self, fragment: Fragment) -> None:
        if self._command is None or fragment.context_id != self._context_id:
            raise ProtocolError("a data set comes without a request")
        if self._receiving is not None:
            if fragment.content:
                self._receiving.write(fragment.content)
        else:
            self._other_bytes += len(fragment.content)
            if self._other_bytes > MAX_OTHER_BYTES:
                raise ProtocolError("a data set is longer than it may be")
            self._pass_on(fragment)
        if fragment.is_last:
            self._end_message()

    def _end_message(self) -> None:
        command, receiving = self._command, self._receiving
        self._command = self._receiving = None
        if command is not None and receiving is not None:
            self._owed = owed = _Owed(self._context_id, command, receiving.patience_s())
            status, comment = receiving.answer()
            self._owed = None
            if owed.claim():
                self._respond(store_response(self._context_id, command, status, comment))

    def answer_overdue(self) -> None:
        """Refuse in the place of an answer that does not come, as of a disk that hangs; from another thread.

        What becomes of the instance is as open as after a connection that broke: sent again, it is known or
        kept. Raises nothing.
        """
        owed = self._owed
        if owed is None or time.monotonic() < owed.due or not owed.claim():
            return
        logger.error("C-STORE refused: disk or index do not answer")
        refusal = store_response(owed.context_id, owed.command, OUT_OF_RESOURCES, "no answer in time")
        with suppress(OSError):  # the peer has gone
            self._respond(refusal)

    def abandon(self) -> None:
        """Drop what has arrived of an unfinished data set."""
        receiving, self._receiving = self._receiving, None
        if receiving is not None:
            receiving.abort()


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
        while self._may_go_on() and (not wrapper.must_wait or self._wait(wrapper, LINGER_S)):
            self._idle_timer.restart()
            self._read_pdu_data()
        return True

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
        try:
            if wrapper.must_wait and not wrapper.fill():
                self.event_queue.put(CONNECTION_CLOSED)
                return
            wrapper.consume(self._reader.feed(wrapper.buffered))
        except ProtocolError as exc:
            logger.warning("association aborted", extra={"fault": str(exc)})
            self.event_queue.put(INVALID_PDU)
            return
        except OSError:
            self.event_queue.put(CONNECTION_CLOSED)
            return
        self._after_reading(wrapper)

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

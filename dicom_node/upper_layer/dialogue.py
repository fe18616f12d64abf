"""What is said on one association: requests, data sets and answers, put together from fragments."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

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
from dicom_node.upper_layer.p_data import Fragment

logger = logging.getLogger(__name__)

MAX_COMMAND_BYTES: Final = 1 << 16
MAX_OTHER_BYTES: Final = 1 << 20
"""Bytes of a data set that comes with any other request than C-STORE."""


class Receiving(Protocol):
    """One data set on its way in."""

    def write(self, fragment: memoryview) -> None: ...

    def room(self, most: int) -> memoryview | None:
        """Return where its next bytes may be put, instead of being written; None if nowhere."""
        ...

    def advance(self, fragment: memoryview) -> None:
        """Take what was put into the front of `room`."""
        ...

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

    def room(self, context_id: int, most: int) -> memoryview | None:
        """See `FragmentSink.room`."""
        receiving = self._receiving
        return receiving.room(most) if receiving is not None and context_id == self._context_id else None

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
            if fragment.is_in_place:
                self._receiving.advance(fragment.content)
            elif fragment.content:
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

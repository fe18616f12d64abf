"""Incremental parser of P-DATA-TF PDUs (PS3.8 9.3.5): fragments are handed on as they come."""

import struct
from typing import Final, NamedTuple, Protocol

from dicom_node.errors import ProtocolError

P_DATA_TF: Final = 0x04
PDU_HEADER: Final = struct.Struct(">BxL")
PDV_HEADER: Final = struct.Struct(">LBB")
IN_PLACE_BYTES: Final = 1 << 15
"""What is left of a fragment is worth a read of its own from so many bytes on."""
_IS_COMMAND, _IS_LAST = 0x01, 0x02


class Fragment(NamedTuple):
    """Part of a command set or data set, valid until the next read of the socket."""

    context_id: int
    is_command: bool
    is_last: bool
    """Whether it ends its command set or data set."""
    content: memoryview
    is_in_place: bool = False
    """Whether it was received into the room that its taker gave."""


class FragmentSink(Protocol):
    """Who takes the fragments."""

    def take(self, fragment: Fragment) -> None:
        """Take one fragment.

        Raises:
            ProtocolError: it does not belong where it comes.
        """
        ...

    def room(self, context_id: int, most: int) -> memoryview | None:
        """Return where to put the next bytes of a data set; None if they are to come as fragments only."""
        ...


class PDataReader:
    """Follows PDU and PDV boundaries across arbitrary pieces of the byte stream."""

    def __init__(self, sink: FragmentSink, max_length: int) -> None:
        self._sink = sink
        self.max_length = max_length
        self.pdus_begun = 0
        self.pdu_left = 0
        """Bytes that the PDU which has begun still announces; 0 between two."""
        self.is_in_large_pieces = False
        """Whether the data set before came in fragments that are worth a read of their own."""
        self._pdv_left = 0
        self._context_id = 0
        self._control = 0

    def feed(self, view: memoryview) -> int:
        """Consume bytes and return how many; stops before a PDU of another kind or an incomplete header.

        Raises:
            ProtocolError: a length is impossible or larger than negotiated.
        """
        at, size = 0, len(view)
        while True:
            if self._pdv_left:
                piece = view[at : at + self._pdv_left]
                if not piece:
                    return at
                at += len(piece)
                self._pdv_left -= len(piece)
                self.pdu_left -= len(piece)
                self._hand_on(piece)
            elif self.pdu_left:
                if size - at < PDV_HEADER.size:
                    return at
                self._begin_pdv(*PDV_HEADER.unpack_from(view, at))
                at += PDV_HEADER.size
            else:
                if size - at < PDU_HEADER.size or view[at] != P_DATA_TF:
                    return at
                self._begin_pdu(PDU_HEADER.unpack_from(view, at)[1])
                at += PDU_HEADER.size

    @property
    def has_room(self) -> bool:
        """Whether what is left of a fragment may be received past `feed`."""
        return self._pdv_left >= IN_PLACE_BYTES and not self._control & _IS_COMMAND

    def room(self) -> memoryview | None:
        """Return where the rest of a large fragment is to be received; `took_in_place` is told of it then."""
        return self._sink.room(self._context_id, self._pdv_left) if self.has_room else None

    @property
    def ahead(self) -> int:
        """Bytes of headers that must follow what `room` is for."""
        if self._control & _IS_LAST:
            return 0
        return PDV_HEADER.size if self.pdu_left > self._pdv_left else PDU_HEADER.size + PDV_HEADER.size

    def took_in_place(self, piece: memoryview) -> None:
        """Follow what has been received into the front of `room`."""
        self._pdv_left -= len(piece)
        self.pdu_left -= len(piece)
        self._hand_on(piece, is_in_place=True)

    def _begin_pdu(self, length: int) -> None:
        if length > self.max_length:
            raise ProtocolError(f"a P-DATA-TF of {length} bytes is longer than agreed")
        self.pdu_left = length
        self.pdus_begun += 1

    def _begin_pdv(self, length: int, context_id: int, control: int) -> None:
        if length < 2 or length + 4 > self.pdu_left:
            raise ProtocolError("a presentation data value does not fit its PDU")
        self.pdu_left -= PDV_HEADER.size
        self._pdv_left = length - 2
        self._context_id, self._control = context_id, control
        if not control & (_IS_COMMAND | _IS_LAST) or length > IN_PLACE_BYTES:  # the last may be a small rest
            self.is_in_large_pieces = length > IN_PLACE_BYTES
        if not self._pdv_left:
            self._hand_on(memoryview(b""))

    def _hand_on(self, piece: memoryview, *, is_in_place: bool = False) -> None:
        is_last = bool(self._control & _IS_LAST) and not self._pdv_left
        is_command = bool(self._control & _IS_COMMAND)
        self._sink.take(Fragment(self._context_id, is_command, is_last, piece, is_in_place))

"""Command sets as bytes (PS3.7 6.3.1, Implicit VR Little Endian): read any, write the C-STORE response."""

import struct
from typing import Final

from dicom_node.errors import ProtocolError
from dicom_node.uids import is_uid
from dicom_node.upper_layer.p_data import P_DATA_TF, PDU_HEADER, PDV_HEADER

AFFECTED_SOP_CLASS_UID: Final = 0x0002
COMMAND_FIELD: Final = 0x0100
MESSAGE_ID: Final = 0x0110
MESSAGE_ID_RESPONDED_TO: Final = 0x0120
DATA_SET_TYPE: Final = 0x0800
STATUS: Final = 0x0900
ERROR_COMMENT: Final = 0x0902
AFFECTED_SOP_INSTANCE_UID: Final = 0x1000
MOVE_ORIGINATOR: Final = 0x1030

C_STORE_RQ: Final = b"\x01\x00"
C_STORE_RSP: Final = b"\x01\x80"
NO_DATA_SET: Final = b"\x01\x01"
_LAST_COMMAND_FRAGMENT: Final = 0x03
_ELEMENT: Final = struct.Struct("<HHL")

_ECHO, _EVENT_REPORT, _EVENT_REPORT_RSP = b"\x30\x00", b"\x00\x01", b"\x00\x81"
_SET, _ACTION, _CREATE = b"\x20\x01", b"\x30\x01", b"\x40\x01"
_SERVED: Final = frozenset((_ECHO, _EVENT_REPORT, _EVENT_REPORT_RSP, _SET, _ACTION, _CREATE))
"""Command fields of what the library answers: C-ECHO, N-EVENT-REPORT, N-SET, N-ACTION, N-CREATE, and of a
response to us."""
_UIDS: Final = (AFFECTED_SOP_CLASS_UID, 0x0003, AFFECTED_SOP_INSTANCE_UID, 0x1001)
_NUMBERS: Final = (COMMAND_FIELD, MESSAGE_ID, MESSAGE_ID_RESPONDED_TO, DATA_SET_TYPE, STATUS, 0x1002, 0x1008)
"""Elements of those messages (PS3.7 9.3.5, 10.3.1, 10.3.4): UI, and US."""

CommandSet = dict[int, bytes]
"""Element number -> encoded value; the group is always 0000."""


def parse_command(encoded: bytes) -> CommandSet:
    """Read a command set.

    Raises:
        ProtocolError: its lengths do not add up, or an element is of another group.
    """
    command: CommandSet = {}
    at, size = 0, len(encoded)
    while at + _ELEMENT.size <= size:
        group, element, length = _ELEMENT.unpack_from(encoded, at)
        at += _ELEMENT.size
        if group != 0 or length > size - at:
            raise ProtocolError("a command set is malformed")
        command[element] = encoded[at : at + length]
        at += length
    if at != size:
        raise ProtocolError("a command set is malformed")
    return command


def text(command: CommandSet, element: int) -> str:
    """Return a value as text, without padding; empty if it is absent."""
    return command.get(element, b"").decode("ascii", "replace").strip(" \0")


def for_library(command: CommandSet) -> bytes:
    """Encode a message other than C-STORE for pynetdicom, without elements that do not belong into it.

    It decodes what it gets without a look at lengths, and quotes in its log what it cannot decode.

    Raises:
        ProtocolError: nobody serves such a message, or a value is not what its element holds.
    """
    if command.get(COMMAND_FIELD) not in _SERVED:
        raise ProtocolError("a message asks for a service that is not offered")
    if DATA_SET_TYPE not in command or not {MESSAGE_ID, MESSAGE_ID_RESPONDED_TO} & command.keys():
        raise ProtocolError("a command set lacks what every one has")
    known = {element: command[element] for element in sorted(command) if element in (*_UIDS, *_NUMBERS)}
    if any(len(known[element]) != 2 for element in _NUMBERS if element in known):
        raise ProtocolError("a number in a command set has another length than two bytes")
    if not all(is_uid(text(known, element)) for element in _UIDS if element in known):
        raise ProtocolError("an identifier in a command set is not a UID")
    return b"".join(_ELEMENT.pack(0, element, len(value)) + value for element, value in known.items())


def store_response(context_id: int, request: CommandSet, status: int, comment: str = "") -> bytes:
    """Return the P-DATA-TF PDU of a C-STORE response (PS3.7 9.3.1.2)."""
    elements = [
        (AFFECTED_SOP_CLASS_UID, request.get(AFFECTED_SOP_CLASS_UID, b"")),
        (COMMAND_FIELD, C_STORE_RSP),
        (MESSAGE_ID_RESPONDED_TO, request[MESSAGE_ID]),
        (DATA_SET_TYPE, NO_DATA_SET),
        (STATUS, status.to_bytes(2, "little")),
    ]
    if comment:
        elements.append((ERROR_COMMENT, _padded(comment[:64].encode("ascii", "replace"))))
    elements.append((AFFECTED_SOP_INSTANCE_UID, request.get(AFFECTED_SOP_INSTANCE_UID, b"")))
    body = b"".join(_ELEMENT.pack(0, element, len(value)) + value for element, value in elements)
    command = _ELEMENT.pack(0, 0, 4) + len(body).to_bytes(4, "little") + body
    pdv = PDV_HEADER.pack(len(command) + 2, context_id, _LAST_COMMAND_FRAGMENT) + command
    return PDU_HEADER.pack(P_DATA_TF, len(pdv)) + pdv


def _padded(value: bytes) -> bytes:
    return value + b" " * (len(value) & 1)

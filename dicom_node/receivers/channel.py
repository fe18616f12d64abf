"""What the processes of a node say to each other, message by message.

Each association has a channel of its own to the process that holds the index. Its end is the end of the
association, whatever ended it: a release, an abort, or the death of the receiver.
"""

import json
import socket
import struct
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from dicom_node.admission import Admission, Arrival, Disposition
from dicom_node.errors import IndexAwayError, StorageError
from dicom_node.header import Header
from dicom_node.study import Instance, Origin, Reason

MAX_MESSAGE_BYTES: Final = 1 << 14
"""Above what an arrival can need: 18 header values of at most 256 bytes each, two to a byte in UTF-8."""
SEPARATOR: Final = "\0"
"""Between the values of an arrival: no text of a header or a UID holds it, and no path can."""

_INSTANCE_FIELDS: Final = tuple(field.name for field in fields(Instance))
_of_instance = attrgetter(*_INSTANCE_FIELDS)
_of_header = attrgetter(*(field.name for field in fields(Header)))


def pair() -> tuple[socket.socket, socket.socket]:
    """Make the two ends of a channel."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def answer_within(channel: socket.socket, seconds: float) -> None:
    """Limit the wait for an answer; the limit stays with the channel, whichever process has it."""
    timeval = struct.pack("ll", *divmod(round(seconds * 1e6), 10**6))
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)


def encode_arrival(arrival: Arrival) -> bytes:
    """Encode one arrival: its values as text, one after the other.

    Raises:
        StorageError: one of them holds what separates them; no value from a header or a request does.
    """
    fault = "" if arrival.fault is None else arrival.fault.name
    caller = arrival.calling_ae_title.replace(SEPARATOR, " ")
    values = (*_of_instance(arrival.instance), *_of_header(arrival.header), caller, fault)
    message = SEPARATOR.join(map(str, values))
    if message.count(SEPARATOR) != len(values) - 1:
        raise StorageError("an instance has a value that cannot be told from two")
    return message.encode()


def decode_arrival(message: bytes) -> Arrival:
    values = message.decode().split(SEPARATOR)
    instance: dict[str, Any] = dict(zip(_INSTANCE_FIELDS, values, strict=False))
    instance["path"] = Path(instance["path"])
    instance["size"] = int(instance["size"])
    instance["origin"] = Origin(instance["origin"])
    instance["received_at"] = datetime.fromisoformat(instance["received_at"])
    *header, caller, fault = values[len(_INSTANCE_FIELDS) :]
    return Arrival(Instance(**instance), Header(*header), caller, Reason[fault] if fault else None)


@lru_cache
def encode_admission(admission: Admission) -> bytes:
    reason = admission.reason
    message = {
        "disposition": admission.disposition,
        "origin": admission.origin,
        "reason": None if reason is None else reason.name,
        "detail": admission.detail,
    }
    return json.dumps(message).encode()


def encode_error(error: StorageError) -> bytes:
    is_away = isinstance(error, IndexAwayError)
    return json.dumps({"error": str(error), "reason": error.reason.name, "is_away": is_away}).encode()


@lru_cache
def decode_admission(message: bytes) -> Admission:
    """Read the answer to an arrival.

    Raises:
        StorageError: it has no row.
    """
    found: dict[str, Any] = json.loads(message)
    if "error" in found:
        raise (IndexAwayError if found["is_away"] else StorageError)(found["error"], Reason[found["reason"]])
    reason = None if found["reason"] is None else Reason[found["reason"]]
    return Admission(Disposition(found["disposition"]), Origin(found["origin"]), reason, found["detail"])


def ask_admission(channel: socket.socket, arrival: Arrival) -> Admission:
    """Ask the process that holds the index for a row, and wait until it is durable.

    Raises:
        StorageError: it could not be written, or that process is gone, or busy for longer than the channel
            waits. The channel ends then: an answer that comes late must not be taken for that to the next.
    """
    try:
        channel.send(encode_arrival(arrival))
        answer = channel.recv(MAX_MESSAGE_BYTES)
    except OSError as exc:
        with suppress(OSError):
            channel.shutdown(socket.SHUT_RDWR)
        raise IndexAwayError("the process that holds the index does not answer") from exc
    if not answer:
        raise IndexAwayError("the process that holds the index is gone")
    return decode_admission(answer)

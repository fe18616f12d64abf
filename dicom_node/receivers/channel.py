"""What the processes of a node say to each other: one JSON object a message, message by message.

Each association has a channel of its own to the process that holds the index. Its end is the end of the
association, whatever ended it: a release, an abort, or the death of the receiver.
"""

import json
import socket
import struct
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from dicom_node.admission import Admission, Arrival, Disposition
from dicom_node.errors import IndexAwayError, StorageError
from dicom_node.header import Header
from dicom_node.study import Instance, Origin, Reason

MAX_MESSAGE_BYTES: Final = 1 << 17
"""Above what an arrival can need: 18 header values of at most 256 bytes each, six to a byte in JSON."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Make the two ends of a channel."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def answer_within(channel: socket.socket, seconds: float) -> None:
    """Limit the wait for an answer; the limit stays with the channel, whichever process has it."""
    timeval = struct.pack("ll", *divmod(round(seconds * 1e6), 10**6))
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)


def encode_arrival(arrival: Arrival) -> bytes:
    instance = {name: getattr(arrival.instance, name) for name in Instance.__dataclass_fields__}
    instance |= {"path": str(instance["path"]), "received_at": instance["received_at"].isoformat()}
    values = ((name, getattr(arrival.header, name)) for name in Header.__dataclass_fields__)
    message = {
        "instance": instance,
        "header": {name: value for name, value in values if value},
        "calling_ae_title": arrival.calling_ae_title,
        "fault": None if arrival.fault is None else arrival.fault.name,
    }
    return json.dumps(message).encode()


def decode_arrival(message: bytes) -> Arrival:
    found = json.loads(message)
    instance = found["instance"]
    instance |= {
        "path": Path(instance["path"]),
        "origin": Origin(instance["origin"]),
        "received_at": datetime.fromisoformat(instance["received_at"]),
    }
    fault = found["fault"]
    return Arrival(
        Instance(**instance),
        Header(**found["header"]),
        found["calling_ae_title"],
        None if fault is None else Reason[fault],
    )


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

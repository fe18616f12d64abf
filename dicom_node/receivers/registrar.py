"""Gives rows to what the receivers bring: all that waits, whoever brought it, in one transaction."""

import logging
import select
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from dicom_node.admission import Admission, Arrival, Disposition
from dicom_node.database.instances import InstanceRepository
from dicom_node.errors import IndexAwayError, StorageError
from dicom_node.receivers.channel import (
    MAX_MESSAGE_BYTES,
    decode_arrival,
    encode_admission,
    encode_error,
)
from dicom_node.receivers.visits import Visit, Visits
from dicom_node.study import Reason

logger = logging.getLogger(__name__)

MOST_IN_ONE_TRANSACTION: Final = 64
TICK_S: Final = 0.5


class Registrar:
    """One thread that answers all channels; it alone writes what was received into the index."""

    def __init__(self, instances: InstanceRepository, visits: Visits) -> None:
        self._instances = instances
        self._visits = visits
        self._open: dict[int, tuple[socket.socket, Visit]] = {}
        self._poll = select.epoll()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="registrar", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Answer what waits and end; the receivers have ended before."""
        self._stop.set()
        self._thread.join()
        for channel, visit in self._open.values():
            channel.close()
            self._visits.end(visit)
        self._poll.close()

    def attend(self, channel: socket.socket, visit: Visit) -> None:
        """Answer a channel from now on; when it ends, the visit ends."""
        self._open[channel.fileno()] = (channel, visit)
        self._poll.register(channel, select.EPOLLIN)

    def _run(self) -> None:
        while not self._stop.is_set():
            asked: list[tuple[int, Arrival]] = []
            for descriptor, _ in self._poll.poll(TICK_S, MOST_IN_ONE_TRANSACTION):
                message = self._read(descriptor)
                if message:
                    asked.append((descriptor, decode_arrival(message)))
                else:
                    self._end(descriptor)
            if asked:
                self._answer(asked)

    def _read(self, descriptor: int) -> bytes:
        with suppress(OSError):
            return self._open[descriptor][0].recv(MAX_MESSAGE_BYTES)
        return b""

    def _end(self, descriptor: int) -> None:
        channel, visit = self._open.pop(descriptor)
        self._poll.unregister(descriptor)
        channel.close()
        self._visits.end(visit)

    def _answer(self, asked: Sequence[tuple[int, Arrival]]) -> None:
        answers = self._admit([arrival for _, arrival in asked])
        for (descriptor, arrival), answer in zip(asked, answers, strict=True):
            channel, visit = self._open[descriptor]
            is_kept = isinstance(answer, Admission) and answer.disposition is Disposition.KEPT
            if is_kept:
                visit.studies.add(arrival.instance.study_instance_uid)
            message = encode_admission(answer) if isinstance(answer, Admission) else encode_error(answer)
            with suppress(OSError):  # a receiver that died meanwhile: what it asked for stays true
                channel.send(message)

    def _admit(self, arrivals: Sequence[Arrival]) -> Sequence[Admission | StorageError]:
        """Give all of them rows at once, or, where one of them cannot have any, each its own answer."""
        try:
            return self._instances.admit(arrivals)
        except IndexAwayError as exc:
            return [exc] * len(arrivals)
        except Exception as exc:
            if len(arrivals) > 1:
                return [self._admit([arrival])[0] for arrival in arrivals]
            if isinstance(exc, StorageError):
                return [exc]
            logger.exception("an instance could not be registered, in an unforeseen way")
            return [StorageError("the instance could not be registered", Reason.INTERNAL)]

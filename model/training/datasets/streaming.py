"""Streams examples of a prepared dataset in a random order that any position can be resumed from."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from model.errors import AbstentionError, ImagingError
from model.training.datasets.record import Record

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """How far a stream has come: all that must be kept to go on."""

    epoch: int = 0
    done: int = 0
    """Examples of this epoch that were taken, on all devices together."""


@dataclass(frozen=True, slots=True)
class Sample(Generic[T]):
    """One place of the stream."""

    after: Position
    """Where to go on once this sample was used."""
    example: T | None
    """None where the pictures of the record cannot be read; the log says why."""


class RecordStream(IterableDataset[Sample[T]]):
    """All records of a split, epoch after epoch without end, each epoch in another order.

    A `DataLoader` with `batch_size=None` yields the same samples in the same order with any number of
    workers, after any position, and the devices of a run share them out. What is drawn about an example
    depends on seed, epoch and place alone.
    """

    def __init__(
        self,
        records: Sequence[Record],
        make: Callable[[Record, np.random.Generator], T],
        *,
        seed: int = 0,
        position: Position = Position(),
        device: int = 0,
        devices: int = 1,
    ) -> None:
        """Prepare to go on at `position`; `make` turns a record into an example.

        Raises:
            ValueError: there are no records.
        """
        super().__init__()
        if not len(records):
            raise ValueError("a stream of no records would never yield")
        self.records = records
        self.make = make
        self.seed = seed
        self.position = position
        self.device, self.devices = device, devices

    def __iter__(self) -> Iterator[Sample[T]]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        count = len(self.records)
        together = self.position.epoch * count + self.position.done + number * self.devices
        order, ordered = np.empty(0, np.intp), -1
        while True:
            epoch, place = divmod(together + self.device, count)
            if epoch != ordered:
                order, ordered = np.random.default_rng([self.seed, epoch]).permutation(count), epoch
            after = Position(*divmod(together + self.devices, count))
            yield Sample(after, self._example(int(order[place]), (epoch, place)))
            together += self.devices * workers

    def _example(self, row: int, drawn_for: tuple[int, int]) -> T | None:
        rng = np.random.default_rng([self.seed, *drawn_for])
        try:
            return self.make(self.records[row], rng)
        except (ImagingError, AbstentionError) as exc:
            logger.warning("record left out", extra={"row": row, "reason": str(exc)})
            return None

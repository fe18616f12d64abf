"""Finds any record of a prepared dataset without reading the others."""

import io
import json
import os
from collections.abc import Sequence
from enum import IntFlag
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from model.errors import DatasetError
from model.reading import Modality
from model.training.datasets.prepared import PreparedDataset, ShardEntry, replace_file
from model.training.datasets.record import SPLITS, Record, Split

_MODALITIES = tuple(Modality)


class Facts(IntFlag):
    """What a record knows, so that what it can teach is known without reading it."""

    FINDINGS = 1
    IMPRESSION = 2
    LABELS = 4
    ANATOMY_BOXES = 8
    FINDING_BOXES = 16
    CAPTIONS = 32
    MASKS = 64
    QUESTIONS = 128
    PRIORS = 256
    CHANGE = 512
    DIAGNOSIS = 1024


_PLACE = np.dtype([("start", "<u8"), ("size", "<u4"), ("split", "u1"), ("modality", "u1"), ("facts", "<u2")])
"""One record of a shard: its first byte, its bytes with the end of line, and what it is."""


class RecordIndex(Sequence[Record]):
    """The records of one split in the order of their shards, each read when it is asked for.

    Beside each shard lies a small file of places, mapped into memory and shared by all processes that read;
    it is made when the shard is first opened. What travels to another process are paths, never records.
    """

    def __init__(self, dataset: PreparedDataset, split: Split) -> None:
        """Open or make the places of every shard.

        Raises:
            DatasetError: a shard is missing or malformed.
        """
        self.dataset = dataset
        self.split = split
        self._shards = dataset.shards(split)
        self._places = [_places(dataset.folder, shard) for shard in self._shards]
        number = SPLITS.index(split)
        self._own = [np.flatnonzero(places["split"] == number) for places in self._places]
        self._first = np.cumsum([0, *map(len, self._own)])

    def __reduce__(self) -> tuple[Any, ...]:
        return RecordIndex, (self.dataset, self.split)

    def __len__(self) -> int:
        return int(self._first[-1])

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        """Read one record.

        Raises:
            DatasetError: its line is not what it was when the places were noted.
        """
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        n = int(np.searchsorted(self._first, index, side="right")) - 1
        place = self._places[n][self._own[n][index - self._first[n]]]
        with (self.dataset.folder / self._shards[n].file).open("rb") as file:
            file.seek(int(place["start"]))
            return Record.from_json(file.read(int(place["size"])))

    @property
    def facts(self) -> NDArray[np.uint16]:
        """What each record knows: a sum of `Facts`."""
        return self._column("facts")

    def of_modality(self, modality: Modality) -> NDArray[np.bool_]:
        """Which records show a modality."""
        return self._column("modality") == _MODALITIES.index(modality)

    def _column(self, name: str) -> NDArray[Any]:
        parts = [places[name][own] for places, own in zip(self._places, self._own, strict=True)]
        return np.concatenate([np.empty(0, _PLACE[name]), *parts])


def _places(folder: Path, shard: ShardEntry) -> NDArray[Any]:
    """Map the places of a shard; their file is named by its digest, so that those of another are not used."""
    path = (folder / shard.file).with_suffix(f".{shard.sha256[:12]}.npy")
    if not path.exists():
        found = _noted(folder / shard.file)
        content = io.BytesIO()
        np.save(content, found, allow_pickle=False)
        if not os.access(folder, os.W_OK):
            return found
        replace_file(path, content.getvalue())
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _noted(path: Path) -> NDArray[Any]:
    """Read a whole shard once."""
    places: list[tuple[int, int, int, int, int]] = []
    start = 0
    try:
        with path.open("rb") as lines:
            for line in lines:
                told = json.loads(line)
                split, modality = SPLITS.index(told["split"]), _MODALITIES.index(told["modality"])
                places.append((start, len(line), split, modality, int(_facts(told))))
                start += len(line)
    except FileNotFoundError:
        raise DatasetError(f"{path.name} of {path.parent} is missing") from None
    except (ValueError, KeyError, TypeError) as exc:
        raise DatasetError(f"{path.name} of {path.parent} holds a line that is no record") from exc
    return np.array(places, _PLACE)


def _facts(told: dict[str, Any]) -> Facts:
    """What the JSON of a record, which leaves out what is not known, says that it knows."""
    facts = Facts(0)
    for fact in (f for f in Facts if f.name and told.get(f.name.lower())):
        facts |= fact
    for box in told.get("boxes", ()):
        facts |= Facts.ANATOMY_BOXES if box.get("anatomy") else Facts.FINDING_BOXES
        facts |= Facts.CAPTIONS if box.get("caption") else Facts(0)
    return facts

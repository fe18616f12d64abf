"""A prepared dataset: a folder with `dataset.json` and shards of records, one JSON object a line."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from model.errors import DatasetError
from model.training.datasets.dataset_reader import DatasetCard
from model.training.datasets.record import Record, Split

HEADER = "dataset.json"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row of the source that is no record."""

    row: str
    reason: str


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One file of records."""

    file: str
    sha256: str
    records: dict[str, int]
    """How many, by split."""
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Header:
    """What `dataset.json` says."""

    card: DatasetCard
    source: str
    """Folder that paths of records are relative to."""
    cases: int
    """Rows of the source, those that were skipped among them."""
    cases_sha256: str
    """Of their keys in order: tells one download from another."""
    shard_cases: int
    """How many of them each shard is made of."""
    shards: tuple[ShardEntry, ...] = ()
    complete: bool = False
    """Whether every shard is written."""
    records: dict[str, int] = field(default_factory=dict[str, int])
    """How many, by split."""
    skipped: int = 0
    form: int = 1
    """Version of this form."""

    @staticmethod
    def read(folder: Path) -> "Header":
        """Read `dataset.json`.

        Raises:
            DatasetError: it is missing or malformed.
        """
        try:
            return _HEADER.validate_json((folder / HEADER).read_bytes())
        except FileNotFoundError:
            raise DatasetError(f"{folder} holds no {HEADER}: it is no prepared dataset") from None
        except ValidationError as exc:
            raise DatasetError(f"{folder / HEADER} is malformed in {exc.error_count()} places") from None

    def reasons(self) -> dict[str, int]:
        """Why rows were left out, most frequent first."""
        return dict(Counter(row.reason for shard in self.shards for row in shard.skipped).most_common())

    def write(self, folder: Path) -> None:
        """Write `dataset.json`; it is never seen half written."""
        replace_file(folder / HEADER, _HEADER.dump_json(self, indent=1) + b"\n")


_HEADER = TypeAdapter(Header)


class PreparedDataset:
    """Reads a prepared folder record by record; never holds more than one."""

    def __init__(self, folder: Path, source: Path | None = None) -> None:
        """Open a folder; `source` says where its files lie now, if they were moved.

        Raises:
            DatasetError: the folder is no prepared dataset, or its preparation was interrupted.
        """
        self.folder = folder
        self.header = Header.read(folder)
        if not self.header.complete:
            raise DatasetError(f"The preparation of {folder} was interrupted; run it again to go on")
        self.source = source or Path(self.header.source)

    def __len__(self) -> int:
        return sum(self.header.records.values())

    def count(self, split: Split) -> int:
        return self.header.records.get(split, 0)

    def records(self, split: Split | None = None) -> Iterator[Record]:
        """Stream the records of a split, or all, in the order in which they were written.

        Raises:
            DatasetError: a shard is missing, or a line of it is no record.
        """
        for shard in self.shards(split):
            for record in self.records_of(shard):
                if split in (None, record.split):
                    yield record

    def shards(self, split: Split | None = None) -> list[ShardEntry]:
        """The shards that hold records of a split, or of any; workers of a loader share them out."""
        return [shard for shard in self.header.shards if split is None or shard.records.get(split)]

    def records_of(self, shard: ShardEntry) -> Iterator[Record]:
        """Stream all records of one shard."""
        try:
            with (self.folder / shard.file).open("rb") as lines:
                yield from map(Record.from_json, lines)
        except FileNotFoundError:
            raise DatasetError(f"{shard.file} of {self.folder} is missing") from None

    def verify(self) -> list[str]:
        """Name the shards that are missing or are not what was written."""
        return [shard.file for shard in self.header.shards if not is_whole(self.folder, shard)]

    def path(self, relative: str) -> Path:
        """Where a file that a record names lies.

        Raises:
            DatasetError: it would lie outside the source folder.
        """
        path = Path(relative)
        if path.is_absolute() or ".." in path.parts:
            raise DatasetError("A record names a file outside its source folder")
        return self.source / path


def is_whole(folder: Path, shard: ShardEntry) -> bool:
    """Whether a shard is there as it was written."""
    try:
        with (folder / shard.file).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == shard.sha256
    except FileNotFoundError:
        return False


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves either nothing, what was there before, or the whole."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)

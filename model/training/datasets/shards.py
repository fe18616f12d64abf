"""Writes records into shards, so that an interrupted preparation goes on where it stopped."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from model.errors import DatasetError, RowError
from model.training.datasets.dataset_reader import Case, DatasetCard
from model.training.datasets.prepared import HEADER, Header, ShardEntry, Skipped, is_whole, replace_file

SHARD = 1000
"""Cases per shard."""

Progress = Callable[[int, int], None]
"""Told how many cases are done, and how many there are."""


def write_prepared(
    card: DatasetCard,
    cases: Sequence[Case],
    folder: Path,
    *,
    source: Path,
    shard_cases: int = SHARD,
    progress: Progress | None = None,
) -> Header:
    """Write cases as a prepared dataset, or go on where an earlier call was interrupted.

    The same cases give the same bytes, however often the writing was interrupted. Nothing is written twice:
    a shard that is there as its digest says is kept.

    Raises:
        DatasetError: the folder holds another preparation, or two cases have the same key.
    """
    begun = _begin(Header(card, str(source), len(cases), _digest_of_keys(cases), shard_cases), folder)
    kept = {shard.file: shard for shard in begun.shards if is_whole(folder, shard)}
    shards: list[ShardEntry] = []
    for n, start in enumerate(range(0, len(cases), shard_cases)):
        file = f"records-{n:05d}.jsonl"
        shards.append(kept.get(file) or _write_shard(folder / file, cases[start : start + shard_cases]))
        if file not in kept:
            later = (shard for name, shard in kept.items() if name > file)
            replace(begun, shards=(*shards, *later)).write(folder)
        if progress is not None:
            progress(min(start + shard_cases, len(cases)), len(cases))
    return _end(begun, tuple(shards), folder)


def _begin(header: Header, folder: Path) -> Header:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / HEADER).exists():
        return header
    found = Header.read(folder)
    if replace(found, shards=(), complete=False, records={}, skipped=0) != header:
        raise DatasetError(
            f"{folder} holds the preparation of another dataset or download; name another folder"
        )
    return replace(header, shards=found.shards)


def _end(header: Header, shards: tuple[ShardEntry, ...], folder: Path) -> Header:
    records: Counter[str] = Counter()
    for shard in shards:
        records.update(shard.records)
    skipped = sum(len(shard.skipped) for shard in shards)
    whole = replace(header, shards=shards, records=dict(records), skipped=skipped, complete=True)
    whole.write(folder)
    return whole


def _write_shard(path: Path, cases: Sequence[Case]) -> ShardEntry:
    lines: list[str] = []
    skipped: list[Skipped] = []
    splits: Counter[str] = Counter()
    for case in cases:
        try:
            record = case.read()
        except RowError as exc:
            skipped.append(Skipped(case.key, str(exc)))
            continue
        lines.append(record.to_json() + "\n")
        splits[record.split] += 1
    content = "".join(lines).encode()
    replace_file(path, content)
    return ShardEntry(path.name, hashlib.sha256(content).hexdigest(), dict(splits), tuple(skipped))


def _digest_of_keys(cases: Sequence[Case]) -> str:
    keys = [case.key for case in cases]
    if len(set(keys)) < len(keys):
        raise DatasetError("Two rows of the source have the same key")
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()

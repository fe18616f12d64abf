"""Shards: written once, resumed to the same bytes, streamed back, and known when altered."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from model.errors import DatasetError, RowError
from model.training.datasets.dataset_reader import Case, DatasetCard
from model.training.datasets.prepared import HEADER, Header, PreparedDataset
from model.training.datasets.record import Record, Split
from model.training.datasets.shards import write_prepared
from tests.unit.model.datasets.test_record import SMALL

CARD = DatasetCard("drawn", "1", "CC0", "https://licence", "https://here", "Nobody 2026", "by number", "none")


def record(n: int) -> Record:
    split: Split = "test" if n % 10 == 9 else "train"
    return replace(SMALL, record_id=str(n), split=split, findings=f"Observation {n}. Größe ½.")


def read(n: int) -> Record:
    if n == 4:
        raise RowError("the report is empty")
    return record(n)


def killed_at_12(n: int) -> Record:
    if n == 12:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(n)


class CountedCases:
    """Cases that count how often each was read, and stop the process at one of them."""

    def __init__(self, count: int, dies_at: int | None = None) -> None:
        self.read: list[int] = []
        self.dies_at = dies_at
        self.cases = [Case(str(n), lambda n=n: self._read(n)) for n in range(count)]

    def _read(self, n: int) -> Record:
        if n == self.dies_at:
            raise KeyboardInterrupt
        self.read.append(n)
        return read(n)


def write(cases: Sequence[Case], out: Path, shard_cases: int = 5) -> Header:
    return write_prepared(CARD, cases, out, source=Path("/source"), shard_cases=shard_cases)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    write(CountedCases(23).cases, tmp_path / "whole")
    return tmp_path / "whole"


def numbers(records: Iterator[Record]) -> list[int]:
    return [int(r.record_id) for r in records]


def test_records_come_back_in_order_without_the_bad_row(prepared: Path) -> None:
    dataset = PreparedDataset(prepared)
    assert list(dataset.records()) == [record(n) for n in range(23) if n != 4]
    assert len(dataset) == 22


def test_a_split_holds_its_own_records_only(prepared: Path) -> None:
    dataset = PreparedDataset(prepared)
    assert numbers(dataset.records("test")) == [9, 19]
    assert dataset.count("test") == 2
    assert numbers(dataset.records("validate")) == []
    assert [shard.file for shard in dataset.shards("test")] == ["records-00001.jsonl", "records-00003.jsonl"]


def test_a_bad_row_is_counted_and_named_with_its_reason(prepared: Path) -> None:
    header = Header.read(prepared)
    assert header.skipped == 1
    assert header.reasons() == {"the report is empty": 1}
    assert [row.row for shard in header.shards for row in shard.skipped] == ["4"]


@pytest.mark.parametrize("dies_at", [0, 3, 5, 12, 22])
def test_a_resumed_preparation_equals_an_uninterrupted_one(
    prepared: Path, tmp_path: Path, dies_at: int
) -> None:
    out = tmp_path / "resumed"
    with pytest.raises(KeyboardInterrupt):
        write(CountedCases(23, dies_at).cases, out)

    again = CountedCases(23)
    write(again.cases, out)

    assert contents(out) == contents(prepared)
    assert again.read == list(range(dies_at // 5 * 5, 23))


def test_a_killed_preparation_goes_on_to_the_same_bytes(prepared: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    cases = [Case(str(n), partial(killed_at_12, n)) for n in range(23)]
    process = multiprocessing.get_context("spawn").Process(target=write, args=(cases, out))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (out / "records-00002.jsonl.part").write_bytes(b'{"half a rec')

    again = CountedCases(23)
    write(again.cases, out)

    assert contents(out) == contents(prepared)
    assert again.read == list(range(10, 23))


def test_an_interrupted_preparation_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(CountedCases(23, 12).cases, tmp_path)
    with pytest.raises(DatasetError, match="interrupted"):
        PreparedDataset(tmp_path)


def test_only_a_damaged_shard_is_written_again(prepared: Path) -> None:
    before = contents(prepared)
    (prepared / "records-00001.jsonl").write_bytes(before["records-00001.jsonl"][:-10])
    assert PreparedDataset(prepared).verify() == ["records-00001.jsonl"]

    again = CountedCases(23)
    write(again.cases, prepared)

    assert again.read == [5, 6, 7, 8, 9]
    assert contents(prepared) == before


def test_a_whole_preparation_is_left_alone(prepared: Path) -> None:
    again = CountedCases(23)
    write(again.cases, prepared)
    assert again.read == []
    assert PreparedDataset(prepared).verify() == []


@pytest.mark.parametrize("other", [CountedCases(22).cases, CountedCases(23).cases[::-1]])
def test_another_download_does_not_go_on_with_these_shards(prepared: Path, other: Sequence[Case]) -> None:
    with pytest.raises(DatasetError, match="another"):
        write(other, prepared)


def test_shards_of_another_length_are_not_mixed(prepared: Path) -> None:
    with pytest.raises(DatasetError, match="another"):
        write(CountedCases(23).cases, prepared, shard_cases=6)


def test_two_rows_with_one_key_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="same key"):
        write(CountedCases(2).cases * 2, tmp_path)


def test_a_missing_shard_is_named(prepared: Path) -> None:
    (prepared / "records-00002.jsonl").unlink()
    with pytest.raises(DatasetError, match=r"records-00002\.jsonl"):
        list(PreparedDataset(prepared).records())


def test_a_folder_without_header_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"dataset\.json"):
        PreparedDataset(tmp_path)


def test_a_malformed_header_is_an_error(prepared: Path) -> None:
    (prepared / HEADER).write_text("{}")
    with pytest.raises(DatasetError, match="malformed"):
        PreparedDataset(prepared)


def test_files_are_found_in_the_source_or_where_it_was_moved(prepared: Path) -> None:
    assert PreparedDataset(prepared).path("a/b.png") == Path("/source/a/b.png")
    assert PreparedDataset(prepared, Path("/moved")).path("a/b.png") == Path("/moved/a/b.png")


@pytest.mark.parametrize("path", ["../secret", "a/../../secret", "/etc/passwd"])
def test_a_record_cannot_name_a_file_outside_its_source(prepared: Path, path: str) -> None:
    with pytest.raises(DatasetError):
        PreparedDataset(prepared).path(path)

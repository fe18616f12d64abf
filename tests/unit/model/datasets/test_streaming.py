"""A stream yields the same examples in the same order, whoever reads it and wherever it is taken up again."""

import logging
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader

from model.errors import PixelError
from model.training.datasets.record import Record
from model.training.datasets.record_index import RecordIndex
from model.training.datasets.streaming import Position, RecordStream, Sample
from tests.unit.model.datasets.test_record_index import numbered, prepared

COUNT = 13
"""Records of the split; a prime, so that nothing divides an epoch evenly."""

Drawn = tuple[str, float]


def draw(record: Record, rng: np.random.Generator) -> Drawn:
    return record.record_id, float(rng.random())


def refuse_four(record: Record, rng: np.random.Generator) -> Drawn:
    if record.record_id == "4":
        raise PixelError("a picture is missing")
    return draw(record, rng)


@pytest.fixture
def index(tmp_path: Path) -> RecordIndex:
    return RecordIndex(prepared(tmp_path, numbered(20)), "train")


def _taken(stream: RecordStream[Drawn], count: int, workers: int = 0) -> list[Sample[Drawn]]:
    loader = DataLoader(stream, batch_size=None, num_workers=workers)
    return list(islice(loader, count))


def test_every_epoch_holds_each_record_once_in_another_order(index: RecordIndex) -> None:
    names = [sample.example[0] for sample in _taken(RecordStream(index, draw), 3 * COUNT) if sample.example]
    epochs = [names[n : n + COUNT] for n in range(0, 3 * COUNT, COUNT)]
    expected = sorted(record.record_id for record in index)
    assert [sorted(epoch) for epoch in epochs] == [expected] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_another_seed_is_another_order(index: RecordIndex) -> None:
    assert _taken(RecordStream(index, draw, seed=1), COUNT) != _taken(
        RecordStream(index, draw, seed=2), COUNT
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(index: RecordIndex, workers: int) -> None:
    alone = _taken(RecordStream(index, draw), 2 * COUNT)
    assert _taken(RecordStream(index, draw), 2 * COUNT, workers) == alone


@pytest.mark.parametrize("taken", [1, 5, COUNT - 1, COUNT, COUNT + 4])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_goes_on_where_it_was_left(index: RecordIndex, taken: int, workers: int) -> None:
    whole = _taken(RecordStream(index, draw), taken + COUNT)
    position = whole[taken - 1].after
    assert position == Position(*divmod(taken, COUNT))
    resumed = RecordStream(index, draw, position=position)
    assert _taken(resumed, COUNT, workers) == whole[taken:]


def test_devices_share_a_stream_out(index: RecordIndex) -> None:
    whole = _taken(RecordStream(index, draw), 2 * COUNT)
    shares = [_taken(RecordStream(index, draw, device=n, devices=2), COUNT) for n in range(2)]
    together = [sample.example for pair in zip(*shares, strict=True) for sample in pair]
    assert together == [sample.example for sample in whole]
    assert [sample.after for sample in shares[0]] == [sample.after for sample in shares[1]]
    left_at = shares[1][4].after
    resumed = [_taken(RecordStream(index, draw, position=left_at, device=n, devices=2), 3) for n in range(2)]
    assert resumed == [share[5:8] for share in shares]


def test_an_unreadable_picture_costs_its_place_only(
    index: RecordIndex, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        samples = _taken(RecordStream(index, refuse_four), COUNT)
    whole = _taken(RecordStream(index, draw), COUNT)
    expected = [sample.example if sample.example and sample.example[0] != "4" else None for sample in whole]
    assert [sample.example for sample in samples] == expected
    assert [sample.after for sample in samples] == [sample.after for sample in whole]
    (entry,) = caplog.records
    assert (entry.message, entry.__dict__["reason"]) == ("record left out", "a picture is missing")


def test_a_stream_of_nothing_is_refused(tmp_path: Path) -> None:
    empty = RecordIndex(prepared(tmp_path, numbered(1)), "train")
    with pytest.raises(ValueError, match="no records"):
        RecordStream(empty, draw)

"""Any record is found by its number, in any process, and old places are never used for new shards."""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.errors import DatasetError
from model.reading import Modality
from model.training.datasets.dataset_reader import Case, DatasetCard
from model.training.datasets.prepared import PreparedDataset
from model.training.datasets.record import (
    Record,
    RecordBox,
    RecordImage,
    RecordMask,
    RecordQuestion,
    RunLengths,
)
from model.training.datasets.record_index import Facts, RecordIndex
from model.training.datasets.shards import write_prepared
from tests.unit.model.datasets.drawn_records import records

CARD = DatasetCard("made", "1", "none", "https://example.org", "https://example.org", "none", "none", "none")
PLAIN = Record("made", "0", "s", "s", "train", Modality.CXR, (RecordImage("a.png"),))


def prepared(folder: Path, listed: Sequence[Record], shard_cases: int = 7) -> PreparedDataset:
    """Write records as they are, a few to a shard."""

    def reading(record: Record) -> Callable[[], Record]:
        return lambda: record

    cases = [Case(str(n), reading(record)) for n, record in enumerate(listed)]
    write_prepared(CARD, cases, folder, source=folder, shard_cases=shard_cases)
    return PreparedDataset(folder)


def numbered(count: int) -> list[Record]:
    """Every third record is kept for tests; texts are of many lengths, and not all ASCII."""
    return [
        replace(PLAIN, record_id=str(n), split="test" if n % 3 == 0 else "train", findings="é" * (n % 11))
        for n in range(count)
    ]


def test_records_of_a_split_are_found_in_any_order(tmp_path: Path) -> None:
    listed = numbered(40)
    index = RecordIndex(prepared(tmp_path, listed), "train")
    expected = [record for record in listed if record.split == "train"]
    assert len(index) == len(expected)
    order = np.random.default_rng(0).permutation(len(index)).tolist()
    assert [index[n] for n in order] == [expected[n] for n in order]
    assert index[-1] == expected[-1]
    assert index[3:9:2] == expected[3:9:2]
    for outside in (len(index), -len(index) - 1):
        with pytest.raises(IndexError):
            index[outside]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(records(), min_size=1, max_size=5))
def test_whatever_the_form_allows_is_found(
    tmp_path_factory: pytest.TempPathFactory, listed: list[Record]
) -> None:
    dataset = prepared(tmp_path_factory.mktemp("prepared"), listed, shard_cases=3)
    for split in ("train", "validate", "test"):
        assert list(RecordIndex(dataset, split)) == list(dataset.records(split))


def test_an_empty_split_holds_nothing(tmp_path: Path) -> None:
    assert list(RecordIndex(prepared(tmp_path, [PLAIN]), "validate")) == []


def test_places_are_noted_once_and_read_without_pickle(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, numbered(20))
    RecordIndex(dataset, "train")
    noted = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npy")}
    assert len(noted) == 3
    assert all(np.load(path, allow_pickle=False).dtype.names for path in noted)
    RecordIndex(dataset, "test")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npy")} == noted


def test_places_of_an_older_shard_are_not_used(tmp_path: Path) -> None:
    RecordIndex(prepared(tmp_path, numbered(20)), "train")
    (tmp_path / "dataset.json").unlink()
    for shard in tmp_path.glob("*.jsonl"):
        shard.unlink()
    listed = [replace(PLAIN, record_id=f"other {n}", impression="x" * n) for n in range(20)]
    assert list(RecordIndex(prepared(tmp_path, listed), "train")) == listed


def test_a_folder_that_cannot_be_written_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = prepared(tmp_path, numbered(20))
    monkeypatch.setattr("model.training.datasets.record_index.os.access", lambda *_: False)
    assert len(RecordIndex(dataset, "train")) == 13
    assert list(tmp_path.glob("*.npy")) == []


def test_an_index_travels_to_another_process(tmp_path: Path) -> None:
    index = RecordIndex(prepared(tmp_path, numbered(20)), "train")
    packed = pickle.dumps(index)
    assert list(pickle.loads(packed)) == list(index)  # noqa: S301 - what DataLoader does
    assert b"start" not in packed


def test_facts_say_what_a_record_can_teach(tmp_path: Path) -> None:
    image, box = PLAIN.images[0], (0.0, 0.0, 1.0, 1.0)
    listed = {
        Facts(0): PLAIN,
        Facts.FINDINGS | Facts.IMPRESSION: replace(PLAIN, findings="Clear.", impression="Normal."),
        Facts.LABELS | Facts.DIAGNOSIS: replace(PLAIN, labels={"edema": None}, diagnosis="melanoma"),
        Facts.ANATOMY_BOXES: replace(PLAIN, boxes=(RecordBox("heart", 0, box, anatomy=True),)),
        Facts.FINDING_BOXES | Facts.CAPTIONS: replace(PLAIN, boxes=(RecordBox("mass", 0, box, "A mass."),)),
        Facts.MASKS: replace(PLAIN, masks=(RecordMask("heart", 0, rle=RunLengths((1, 1), (0, 1))),)),
        Facts.QUESTIONS: replace(PLAIN, questions=(RecordQuestion("What?", "That."),)),
        Facts.PRIORS | Facts.CHANGE: replace(PLAIN, priors=(image,), change="None."),
    }
    index = RecordIndex(prepared(tmp_path, list(listed.values()), shard_cases=3), "train")
    assert [Facts(int(known)) for known in index.facts] == list(listed)


def test_modalities_are_known_without_reading(tmp_path: Path) -> None:
    listed = [replace(PLAIN, modality=modality) for modality in (Modality.CT, Modality.CXR, Modality.CT)]
    index = RecordIndex(prepared(tmp_path, listed), "train")
    assert index.of_modality(Modality.CT).tolist() == [True, False, True]


def test_missing_and_malformed_shards_are_named(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, numbered(20))
    (tmp_path / "records-00001.jsonl").write_text('{"split": "sometime", "modality": "cxr"}\n')
    with pytest.raises(DatasetError, match=r"records-00001\.jsonl"):
        RecordIndex(dataset, "train")
    (tmp_path / "records-00001.jsonl").unlink()
    with pytest.raises(DatasetError, match=r"records-00001\.jsonl .* missing"):
        RecordIndex(dataset, "train")

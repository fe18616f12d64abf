"""Records of a prepared dataset are drawn by what they know, with pictures and masks on one grid."""

from pathlib import Path

import numpy as np
import pytest

from model.errors import DatasetError
from model.reading import Modality, Task
from model.training.runs.plan import Prepared
from model.training.runs.record_source import TAUGHT_BY, RecordSource
from model.vocabulary import RELEASED
from model.volume import PlanarImage, View, Volume
from tests.unit.model.runs.prepared_studies import COLUMNS, RECORDS, ROWS, write_studies


def test_every_kind_that_records_teach_can_be_drawn(source: RecordSource) -> None:
    """What a record says when asked is what the index promised."""
    groups = source.groups("train")
    assert groups.keys() == TAUGHT_BY.keys()
    for number in range(4):
        case = source.case("train", number)
        promised = {kind for kind, rows in groups.items() if number in rows}
        told = {kind for kind in TAUGHT_BY if case.instructions(kind, np.random.default_rng(0))}
        assert told == promised


def test_instructions_of_other_kinds_are_not_told(source: RecordSource) -> None:
    kind = (Modality.CXR, Task.PATHOLOGY_DETECTION)
    told = source.case("train", 0).instructions(kind, np.random.default_rng(0))
    assert {(i.modality, i.task) for i in told} == {kind}


@pytest.fixture
def source(tmp_path: Path) -> RecordSource:
    return RecordSource.opened(Prepared(prepared=write_studies(tmp_path)), RELEASED)


def test_records_are_found_by_their_place(source: RecordSource) -> None:
    groups = source.groups("train")
    assert groups[Modality.CXR, Task.REPORT].tolist() == [0, 1]
    assert groups[Modality.CT, Task.SEGMENTATION].tolist() == [3]
    assert [source.case("train", n).record for n in range(4)] == list(RECORDS[:4])
    assert source.case("validate", 0).record == RECORDS[4]
    assert "test" not in source.described()["cases"]


def test_images_and_masks_lie_on_one_grid(source: RecordSource) -> None:
    study, skin, scan = (source.case("train", n) for n in (0, 2, 3))
    picture = study.image("1")
    assert isinstance(picture, PlanarImage)
    assert picture.view is View.LATERAL
    heart = study.mask("0", "heart")
    assert heart.shape == (ROWS, COLUMNS)
    assert not heart[: ROWS // 2].any()
    assert heart[ROWS // 2 :].all()
    assert skin.mask("0", "lesion").mean() == pytest.approx(1 / 3)
    volume = scan.image("0")
    assert isinstance(volume, Volume)
    liver, spleen = scan.mask("0", "liver"), scan.mask("0", "spleen")
    assert liver.shape == volume.voxels.shape
    assert (liver ^ spleen).all()


def test_limit_takes_the_first_records_of_each_split(tmp_path: Path) -> None:
    few = RecordSource.opened(Prepared(prepared=write_studies(tmp_path), cases=1), RELEASED)
    assert few.described()["cases"] == {"train": 1, "validate": 1}


def test_altered_shard_is_named(tmp_path: Path) -> None:
    prepared = write_studies(tmp_path)
    shard = prepared / "records-00001.jsonl"
    shard.write_bytes(shard.read_bytes().replace(b"melanoma", b"melanomA"))
    with pytest.raises(DatasetError, match="altered since prepared was prepared: records-00001"):
        RecordSource.opened(Prepared(prepared=prepared), RELEASED)

"""What the weights were when a study was read is what its results say."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_node.study import JobId, JobState
from model.reader import Reader
from model.reading import ModelIdentity
from tests.builders import Bench, make_bench
from tests.driving import items_named
from tests.fakes import FakeFamily
from worker.demo.phantom_studies import WrittenStudy

ALGORITHM_VERSION = "111003"


@dataclass(slots=True)
class Upgraded(FakeFamily):
    """The next version of the weights."""

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity("medversa", "fake", "1", "1" * 64, demo_weights=True)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path, FakeFamily)
    yield made
    made.database.close()


def versions(bench: Bench, job_id: JobId) -> set[str]:
    assert bench.database.jobs.get(job_id).state is JobState.DONE
    report = dcmread(bench.database.results.of_job(job_id)[-1].path)
    return {item.TextValue for item in items_named(report, ALGORITHM_VERSION)}


def test_M13_each_result_names_the_weights_that_read_it_while_old_and_new_workers_share_a_queue(
    bench: Bench, phantoms: dict[str, WrittenStudy]
) -> None:
    new = replace(bench.pipeline, reader=lambda: Reader(Upgraded()), owner="new")
    by_old, by_new = bench.file(phantoms["skin lesion"].files), bench.file(phantoms["chest, prior"].files)

    new.take(by_new)
    bench.pipeline.take(by_old)

    (old_version,), (new_version,) = versions(bench, by_old), versions(bench, by_new)
    assert "0" * 16 in old_version
    assert "1" * 16 in new_version


def test_M13_what_was_frozen_before_an_upgrade_is_sent_as_it_was_read(
    bench: Bench, phantoms: dict[str, WrittenStudy]
) -> None:
    job_id = bench.file(phantoms["skin lesion"].files)
    bench.pipeline.take(job_id)
    before = [path.read_bytes() for path in sorted(bench.delivered.rglob("*.dcm"))]

    replace(bench.pipeline, reader=lambda: Reader(Upgraded()), owner="new").take(job_id)

    assert [path.read_bytes() for path in sorted(bench.delivered.rglob("*.dcm"))] == before
    assert "1" * 16 not in versions(bench, job_id).pop()

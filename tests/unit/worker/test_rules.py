"""What a rule makes of the reading and delivery of a study."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from pydicom import dcmread

from dicom_node.rules.settings import TaskName
from dicom_node.settings import Destination, NodeSettings
from dicom_node.storage import ResultStore
from dicom_node.study import JobState, Reason
from tests.builders import Bench, make_bench
from tests.fakes import FakeFamily
from worker.demo.phantom_studies import WrittenStudy
from worker.request import PROTOCOLS

MakeBench = Callable[..., tuple[Bench, FakeFamily]]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeBench]:
    """A node with two destinations and one rule."""
    made: list[Bench] = []

    def make(**rule: object) -> tuple[Bench, FakeFamily]:
        family = FakeFamily()
        bench = make_bench(tmp_path, lambda: family)
        made.append(bench)
        names = ("PACS", "viewer")
        destinations = [
            Destination(name=name, kind="folder", folder=tmp_path / name, profile="air") for name in names
        ]
        settings = NodeSettings.model_validate(
            {
                "node": bench.pipeline.settings.node,
                "destinations": destinations,
                "rules": [{"name": "r", **rule}],
            }
        )
        results = ResultStore(settings.node.data_dir, bench.database, destinations=names)
        return replace(bench, pipeline=replace(bench.pipeline, settings=settings, results=results)), family

    yield make
    for bench in made:
        bench.database.close()


def test_tasks_are_those_of_the_protocols() -> None:
    allowed = {task.value.replace(" ", "-") for tasks in PROTOCOLS.values() for task in tasks}
    assert set(get_args(TaskName)) == allowed


def test_only_what_a_rule_asks_for_is_asked(make: MakeBench, phantoms: dict[str, WrittenStudy]) -> None:
    bench, family = make(tasks="classification")
    job_id = bench.file(phantoms["skin lesion"].files)

    bench.pipeline.take(job_id)

    assert bench.database.jobs.get(job_id).state is JobState.DONE
    assert not any(question.startswith("Segment") for question in family.calls)
    assert any("diagnosis" in question for question in family.calls)


def test_results_go_where_a_rule_says_and_as_it_says(
    make: MakeBench, phantoms: dict[str, WrittenStudy], tmp_path: Path
) -> None:
    bench, _ = make(destinations=["viewer"], profiles={"viewer": "ohif"})
    job_id = bench.file(phantoms["skin lesion"].files)

    bench.pipeline.take(job_id)

    assert bench.database.jobs.get(job_id).state is JobState.DONE
    assert {delivery.destination for delivery in bench.database.deliveries.of_job(job_id)} == {"viewer"}
    assert not (tmp_path / "PACS").exists()
    modalities = {dcmread(path).Modality for path in (tmp_path / "viewer").glob("*.dcm")}
    assert modalities == {"SR", "SEG"}


def test_results_without_a_destination_stay_here(make: MakeBench, phantoms: dict[str, WrittenStudy]) -> None:
    bench, _ = make(destinations=[])
    job_id = bench.file(phantoms["skin lesion"].files)

    bench.pipeline.take(job_id)

    assert bench.database.jobs.get(job_id).state is JobState.DONE
    assert bench.database.results.of_job(job_id)
    assert not bench.database.deliveries.of_job(job_id)


@pytest.mark.parametrize(
    ("rule", "reason", "told"),
    [
        ({"modality": "MR"}, Reason.NO_RULE, "not r: modality is XC, not MR"),
        ({"read": False}, Reason.RULED_OUT, "rule r: it has no conditions"),
        ({"tasks": "comparison"}, Reason.RULED_OUT, "rule r asks for comparison"),
    ],
)
def test_study_that_is_not_to_be_read_ends_with_the_reason(
    make: MakeBench,
    phantoms: dict[str, WrittenStudy],
    rule: dict[str, object],
    reason: Reason,
    told: str,
) -> None:
    bench, family = make(**rule)
    job_id = bench.file(phantoms["skin lesion"].files)

    bench.pipeline.take(job_id)

    job = bench.database.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.NOT_APPLICABLE, reason)
    assert told in job.detail
    assert family.calls == []

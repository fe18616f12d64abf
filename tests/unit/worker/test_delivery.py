"""Each object is counted by its own status; the report waits for what it names."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_node.dimse_status import is_stored
from dicom_node.errors import UnreachableError
from dicom_node.scu import SendOutcome
from dicom_node.settings import Destination
from dicom_node.study import JobId, Reason
from tests.builders import Bench, make_bench
from tests.fakes import FakeFamily
from worker.delivery import deliver, is_transient
from worker.demo.phantom_studies import WrittenStudy
from worker.errors import UndeliveredError
from worker.stopwatch import Stopwatch

DESTINATION = Destination(name="folder", ae_title="PACS", port=104)


@dataclass(slots=True)
class FakePacs:
    """Answers by modality; what is not named is stored."""

    statuses: dict[str, int | None] = field(default_factory=dict)
    received: list[str] = field(default_factory=list)

    def __call__(self, destination: Destination, paths: Sequence[Path]) -> list[SendOutcome]:
        outcomes: list[SendOutcome] = []
        for path in paths:
            ds = dcmread(path)
            self.received.append(ds.Modality)
            outcomes.append(SendOutcome(ds.SOPInstanceUID, self.statuses.get(ds.Modality, 0x0000)))
        return outcomes


@pytest.fixture
def read(tmp_path: Path, phantoms: dict[str, WrittenStudy]) -> Iterator[tuple[Bench, JobId]]:
    """A job whose results are stored and not yet sent."""
    bench = make_bench(tmp_path, FakeFamily)
    job_id = bench.file(phantoms["chest, current"].files)
    lease = bench.database.jobs.claim(job_id, "x", 60)
    assert lease is not None
    # Not checked: the step alone, without delivery.
    results = bench.pipeline._read(lease.job, Stopwatch())  # pyright: ignore[reportPrivateUsage]
    bench.pipeline.results.keep(lease, results.objects)
    yield bench, job_id
    bench.database.close()


def test_accepted_objects_are_not_sent_again(read: tuple[Bench, JobId]) -> None:
    bench, job_id = read
    deliver(bench.database, FakePacs(), [DESTINATION], job_id)
    second = FakePacs()
    deliver(bench.database, second, [DESTINATION], job_id)
    assert second.received == []


def test_P06_report_is_held_while_an_object_it_names_is_refused(read: tuple[Bench, JobId]) -> None:
    bench, job_id = read
    pacs = FakePacs({"SEG": 0x0122})
    with pytest.raises(UndeliveredError) as caught:
        deliver(bench.database, pacs, [DESTINATION], job_id)
    assert (caught.value.reason, caught.value.is_final) == (Reason.PEER_REFUSED, True)
    assert "SR" not in pacs.received


def test_only_what_is_missing_is_sent_after_out_of_resources(read: tuple[Bench, JobId]) -> None:
    bench, job_id = read
    with pytest.raises(UndeliveredError) as caught:
        deliver(bench.database, FakePacs({"PR": 0xA700}), [DESTINATION], job_id)
    assert not caught.value.is_final
    second = FakePacs()
    deliver(bench.database, second, [DESTINATION], job_id)
    assert second.received == ["PR", "SR"]


def test_P01_one_dead_destination_does_not_keep_the_other_from_its_objects(
    read: tuple[Bench, JobId],
) -> None:
    bench, job_id = read
    dead = Destination(name="dead", ae_title="DEAD", port=105)
    bench.database.deliveries.plan(job_id, ["folder", "dead"])
    pacs = FakePacs()

    def send(destination: Destination, paths: Sequence[Path]) -> list[SendOutcome]:
        if destination.name == "dead":
            raise UnreachableError("nobody answers")
        return pacs(destination, paths)

    with pytest.raises(UndeliveredError) as caught:
        deliver(bench.database, send, [dead, DESTINATION], job_id)
    assert caught.value.reason is Reason.PEER_UNREACHABLE
    assert pacs.received[-1] == "SR"


def test_report_is_not_sent_when_its_job_was_cancelled_while_the_others_were(
    read: tuple[Bench, JobId],
) -> None:
    bench, job_id = read
    pacs = FakePacs()

    def send(destination: Destination, paths: Sequence[Path]) -> list[SendOutcome]:
        outcomes = pacs(destination, paths)
        bench.database.interventions.cancel(job_id, decided_by="ada", why="sent twice")
        return outcomes

    deliver(bench.database, send, [DESTINATION], job_id)
    assert "SR" not in pacs.received


def test_results_for_a_destination_that_has_another_name_now_are_not_taken_for_delivered(
    read: tuple[Bench, JobId],
) -> None:
    bench, job_id = read
    renamed = Destination(name="renamed", ae_title="PACS", port=104)
    with pytest.raises(UndeliveredError, match="no destination folder") as caught:
        deliver(bench.database, FakePacs(), [renamed], job_id)
    assert (caught.value.reason, caught.value.is_final) == (Reason.PEER_UNREACHABLE, False)


@pytest.mark.parametrize(
    ("question", "status", "answer"),
    [
        (is_stored, 0x0000, True),
        (is_stored, 0xB000, True),
        (is_stored, 0xB007, True),
        (is_stored, 0xA700, False),
        (is_stored, 0xFE00, False),
        (is_stored, None, False),
        (is_transient, None, True),
        (is_transient, 0xA700, True),
        (is_transient, 0xA900, False),
        (is_transient, 0x0122, False),
    ],
)
def test_statuses_mean_what_the_standard_says(
    question: Callable[[int | None], bool], status: int | None, answer: bool
) -> None:
    assert question(status) is answer

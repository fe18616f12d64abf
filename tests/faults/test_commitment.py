"""Archives that commit themselves late, twice, in part, to nothing, or to what nobody asked for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import evt

from dicom_node.intake import Intake
from dicom_node.normalized_services import services_of
from dicom_node.proof import ProofState
from dicom_node.proof_settings import ProofOfDelivery
from dicom_node.settings import Destination, Node
from dicom_node.storage import ResultStore
from dicom_node.study import JobId, JobState, Reason, Stage
from tests.builders import Bench, make_bench
from tests.commitment_peers import CommittingArchive, report_of
from tests.driving import wait_until
from tests.fakes import FakeFamily
from tests.in_process_node import InProcessNode
from worker.demo.phantom_studies import WrittenStudy
from worker.demo.servers import free_port

Habit = Callable[[CommittingArchive, evt.Event], None]


@dataclass
class Committed:
    """A node with one destination that is asked for commitment, and a job that is ready to be read."""

    bench: Bench
    job_id: JobId
    archive: CommittingArchive
    port: int
    """Of the node's listener."""

    def take(self) -> tuple[JobState, Reason | None]:
        """Run the job as a worker does when it is due."""
        jobs = self.bench.database.jobs
        with self.bench.database.connections.writing() as connection:
            connection.exec_driver_sql("UPDATE jobs SET not_before = 0")
        self.bench.pipeline.take(self.job_id)
        job = jobs.get(self.job_id)
        return job.state, job.reason

    @property
    def states(self) -> set[ProofState]:
        return {proof.state for proof in self.bench.database.proofs.of_job(self.job_id)}


@pytest.fixture
def make(
    tmp_path: Path, phantoms: dict[str, WrittenStudy], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Committed]]:
    monkeypatch.setattr("worker.proving.PROMPT_ANSWER_S", 0.5)
    stop: list[Callable[[], None]] = []

    def made(habit: Habit, answer_within_s: float = 3600, same_association_s: float = 0.1) -> Committed:
        monkeypatch.setattr("dicom_node.storage_commitment.asking.SAME_ASSOCIATION_S", same_association_s)
        archive = CommittingArchive(habit)
        proof = ProofOfDelivery(by="commitment", answer_within_s=answer_within_s)
        pacs = Destination(name="PACS", ae_title="PACS", port=archive.port, timeout_s=5, proof=proof)
        bench = make_bench(tmp_path, FakeFamily)
        old = bench.pipeline
        settings = old.settings.model_copy(update={"destinations": (pacs,)})
        results = ResultStore(settings.node.data_dir, bench.database, destinations=["PACS"])
        bench = replace(bench, pipeline=replace(old, settings=settings, results=results))
        job_id = bench.file(phantoms["skin lesion"].files)
        port = free_port()
        node = Node(port=port, data_dir=settings.node.data_dir)
        services = services_of(settings, bench.database)
        listener = InProcessNode(node, Intake(bench.store, bench.database), services)
        listener.start()
        stop.extend((archive.server.shutdown, lambda: listener.stop(1), bench.database.close))
        return Committed(bench, job_id, archive, port)

    yield made
    for end in stop:
        end()


def silent(archive: CommittingArchive, event: evt.Event) -> None:
    """Takes the request and says nothing."""


def test_T21_report_on_the_next_association_proves_every_object(make: Callable[..., Committed]) -> None:
    site = make(silent)
    assert site.take() == (JobState.DELIVERING, Reason.UNPROVEN)
    assert site.states == {ProofState.ASKED}
    assert site.bench.database.jobs.waiting(Stage.DELIVERY) == []

    site.archive.report(site.port, *report_of(site.archive.requests[0]))

    assert site.bench.database.jobs.waiting(Stage.DELIVERY) == [site.job_id], "due at once"
    assert site.take() == (JobState.DONE, Reason.DELIVERED)
    assert site.states == {ProofState.PROVEN}
    results = site.bench.database.results.of_job(site.job_id)
    assert site.archive.received == [result.sop_instance_uid for result in results], "nothing was sent twice"


def test_T21_report_of_a_failure_sends_that_object_again_and_no_other(make: Callable[..., Committed]) -> None:
    site = make(silent)
    site.take()
    lost = site.archive.received[0]
    site.archive.report(site.port, *report_of(site.archive.requests[0], failed=[lost]))
    (failed,) = (p for p in site.bench.database.proofs.of_job(site.job_id) if p.state is ProofState.MISSING)
    assert failed.detail.startswith("0x0112")

    before = len(site.archive.received)
    assert site.take() == (JobState.DELIVERING, Reason.UNPROVEN)
    site.take()
    assert site.archive.received[before:] == [lost]
    (named,) = site.archive.requests[1].ReferencedSOPSequence
    assert named.ReferencedSOPInstanceUID == lost
    site.archive.report(site.port, *report_of(site.archive.requests[1]))

    assert site.take() == (JobState.DONE, Reason.DELIVERED)


def test_T21_without_a_report_it_is_asked_again_then_sent_again_then_somebody_must_look(
    make: Callable[..., Committed],
) -> None:
    site = make(silent, answer_within_s=0.001)
    outcomes = [site.take()]
    while outcomes[-1][0] is JobState.DELIVERING:
        outcomes.append(site.take())

    assert outcomes[-1] == (JobState.FAILED, Reason.UNPROVEN)
    assert (
        len({request.TransactionUID for request in site.archive.requests}) == len(site.archive.requests) == 9
    )
    first = site.archive.received[0]
    assert site.archive.received.count(first) == 3, "once, and again after each third request but the last"


def test_T21_unknown_and_repeated_reports_change_nothing(make: Callable[..., Committed]) -> None:
    site = make(silent)
    site.take()
    request = site.archive.requests[0]
    stranger = Dataset()
    stranger.TransactionUID, stranger.ReferencedSOPSequence = generate_uid(), request.ReferencedSOPSequence
    site.archive.report(site.port, *report_of(stranger))
    assert site.states == {ProofState.ASKED}

    uids = [item.ReferencedSOPInstanceUID for item in request.ReferencedSOPSequence]
    site.archive.report(site.port, *report_of(request))
    site.archive.report(site.port, *report_of(request, failed=uids))

    assert site.states == {ProofState.PROVEN}
    assert site.archive.answers == [0x0110, 0x0000, 0x0000]


def test_report_that_cannot_be_read_is_answered_so(make: Callable[..., Committed]) -> None:
    site = make(silent)
    site.take()
    broken = Dataset()
    broken.TransactionUID = ""
    site.archive.report(site.port, 1, broken)
    assert site.archive.answers == [0x0115]


def test_request_that_is_refused_is_made_again_and_does_not_count(make: Callable[..., Committed]) -> None:
    site = make(silent)
    site.archive.status = 0x0110
    assert site.take() == (JobState.DELIVERING, Reason.UNPROVEN)
    assert {(p.state, p.requests) for p in site.bench.database.proofs.of_job(site.job_id)} == {
        (ProofState.OPEN, 0)
    }

    site.archive.status = 0x0000
    site.take()
    assert site.states == {ProofState.ASKED}


def test_report_on_the_same_association_ends_the_job_at_once(make: Callable[..., Committed]) -> None:
    site = make(CommittingArchive.report_on_the_same, same_association_s=10)
    assert site.take() == (JobState.DONE, Reason.DELIVERED)
    wait_until(lambda: site.archive.answers == [0x0000], 30, "the archive has the answer to its report")

"""Real archives show that they keep what they were sent, or that they keep something else."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from dicom_node.intake import Intake
from dicom_node.normalized_services import services_of
from dicom_node.proof import ProofState
from dicom_node.proof_settings import ProofOfDelivery
from dicom_node.scu import SendOutcome, send_files
from dicom_node.settings import Destination, Node, QueryRetrieve, WebPeer
from dicom_node.storage import ResultStore
from dicom_node.study import JobId, JobState, Reason
from tests.builders import Bench, make_bench
from tests.fakes import FakeFamily
from tests.in_process_node import InProcessNode
from tests.integration.dicom_node.programs import DcmqrscpProcess, OrthancProcess
from worker.delivery import deliver
from worker.demo.phantom_studies import WrittenStudy
from worker.demo.servers import free_port
from worker.errors import UndeliveredError
from worker.proving import Prover
from worker.results.proofs import proof_values
from worker.stopwatch import Stopwatch

pytestmark = [
    pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed"),
    pytest.mark.skipif(shutil.which("dcmqrscp") is None, reason="DCMTK is not installed"),
]


Make = Callable[..., tuple[Bench, JobId]]


@dataclass(frozen=True)
class Archives:
    orthanc: OrthancProcess
    dcmqrscp: DcmqrscpProcess
    node_port: int


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archives]:
    folder, port = tmp_path_factory.mktemp("archives"), free_port()
    web = ("libOrthancDicomWeb.so",)
    orthanc = OrthancProcess(folder, port, plugins=web, options={"OverwriteInstances": False}).start()
    dcmqrscp = DcmqrscpProcess(folder, port).start()
    yield Archives(orthanc, dcmqrscp, port)
    orthanc.stop()
    dcmqrscp.stop()


@pytest.fixture
def make(tmp_path: Path, phantoms: dict[str, WrittenStudy], archives: Archives) -> Iterator[Make]:
    """Makes a node with one destination, its listener, and a job whose results are kept and not sent."""
    ends: list[Callable[[], None]] = []

    def made(destination: Destination, study: str = "skin lesion") -> tuple[Bench, JobId]:
        bench = make_bench(tmp_path, FakeFamily)
        old = bench.pipeline
        orthanc, dcmqrscp = archives.orthanc, archives.dcmqrscp
        settings = old.settings.model_copy(
            update={
                "destinations": (destination,),
                "query_retrieve": (
                    QueryRetrieve(name="orthanc-get", ae_title="ORTHANC", port=orthanc.port),
                    QueryRetrieve(name="dcmqrscp-get", ae_title="DCMQRSCP", port=dcmqrscp.port),
                ),
                "dicomweb": (WebPeer(name="orthanc-wado", url=f"{orthanc.url}/dicom-web"),),
                "orthanc": (WebPeer(name="orthanc-rest", url=orthanc.url),),
            }
        )
        store = ResultStore(settings.node.data_dir, bench.database, destinations=[destination.name])
        bench = replace(bench, pipeline=replace(old, settings=settings, results=store))
        node = Node(port=archives.node_port, data_dir=settings.node.data_dir)
        services = services_of(settings, bench.database)
        listener = InProcessNode(node, Intake(bench.store, bench.database), services)
        listener.start()
        job_id = bench.file(phantoms[study].files)
        lease = bench.database.jobs.claim(job_id, "reader", 60)
        assert lease is not None
        # Not checked: the step alone, without delivery.
        results = bench.pipeline._read(lease.job, Stopwatch())  # pyright: ignore[reportPrivateUsage]
        bench.pipeline.results.keep(lease, results.objects)
        bench.database.jobs.hand_over(lease)
        ends.extend((lambda: listener.stop(1), bench.database.close))
        return bench, job_id

    yield made
    for end in ends:
        end()


def destination_of(archives: Archives, proof: ProofOfDelivery) -> Destination:
    if proof.source == BY_STOW:
        url = f"{archives.orthanc.url}/dicom-web"
        return Destination(name=BY_STOW, kind="dicomweb", url=url, timeout_s=10, proof=proof)
    is_dcmqrscp = (proof.source or "").startswith("dcmqrscp")
    port = archives.dcmqrscp.port if is_dcmqrscp else archives.orthanc.port
    title = "DCMQRSCP" if is_dcmqrscp else "ORTHANC"
    return Destination(name="PACS", ae_title=title, port=port, timeout_s=10, proof=proof)


def read_back_from(source: str) -> ProofOfDelivery:
    return ProofOfDelivery(by="read-back", source=source)


BY_STOW = "stow"
"""A destination that is sent to by STOW-RS and reads back from itself by WADO-RS."""
SOURCES = ["orthanc-get", "orthanc-wado", "orthanc-rest", "dcmqrscp-get", BY_STOW]


@pytest.mark.parametrize(
    "proof", [ProofOfDelivery(by="commitment"), *map(read_back_from, SOURCES)], ids=["commitment", *SOURCES]
)
def test_archive_shows_that_it_keeps_each_object(
    proof: ProofOfDelivery, archives: Archives, make: Make
) -> None:
    bench, job_id = make(destination_of(archives, proof), "chest, current")

    bench.pipeline.take(job_id)

    job = bench.database.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.DONE, Reason.DELIVERED)
    told = proof_values(bench.database, job_id)
    assert len(told) == len(bench.database.results.of_job(job_id)) >= 3
    assert {(each["status"], each["proof"], each["requests"]) for each in told} == {("0x0000", "proven", 1)}
    assert all(each["answered_at"] for each in told)
    if proof.by == "read-back":
        assert all(each["detail"].startswith("sha256 ") for each in told)


def test_commitment_names_what_orthanc_does_not_have_and_that_alone_is_sent_again(
    archives: Archives, make: Make
) -> None:
    pacs = destination_of(archives, ProofOfDelivery(by="commitment"))
    bench, job_id = make(pacs)
    results = bench.database.results.of_job(job_id)
    lost = results[0]
    prover = Prover(bench.pipeline.settings, bench.database)

    def careless(destination: Destination, paths: list[Path]) -> list[SendOutcome]:
        """What says 0x0000 for an object that does not arrive."""
        sent = send_files(destination, [path for path in paths if path != lost.path])
        dropped = [SendOutcome(lost.sop_instance_uid, 0x0000)] if lost.path in paths else []
        return [*sent, *dropped]

    delete_study(archives.orthanc, lost.study_instance_uid)
    with pytest.raises(UndeliveredError) as caught:
        deliver(bench.database, careless, [pacs], job_id, prover)  # type: ignore[arg-type] # a list is given
    assert caught.value.reason is Reason.UNPROVEN
    (missing,) = (p for p in bench.database.proofs.of_job(job_id) if p.state is not ProofState.PROVEN)
    assert (missing.sop_instance_uid, missing.detail) == (
        lost.sop_instance_uid,
        "0x0112 no such object instance",
    )

    sent: list[Path] = []

    def counting(destination: Destination, paths: list[Path]) -> list[SendOutcome]:
        sent.extend(paths)
        return send_files(destination, paths)

    deliver(bench.database, counting, [pacs], job_id, prover)  # type: ignore[arg-type] # a list is given
    assert sent == [lost.path]
    assert {p.state for p in bench.database.proofs.of_job(job_id)} == {ProofState.PROVEN}


@pytest.mark.parametrize("source", SOURCES[:3])
def test_P05_archive_that_keeps_an_older_object_under_our_uid_is_found_out(
    source: str, archives: Archives, make: Make, tmp_path: Path
) -> None:
    pacs = destination_of(archives, read_back_from(source))
    bench, job_id = make(pacs)
    ours = bench.database.results.of_job(job_id)[-1]
    delete_study(archives.orthanc, ours.study_instance_uid)
    older = dcmread(ours.path)
    older.SeriesDescription = "what somebody stored before"
    older.save_as(tmp_path / "older.dcm", enforce_file_format=True)
    assert send_files(pacs, [tmp_path / "older.dcm"])[0].status == 0x0000

    bench.pipeline.take(job_id)

    job = bench.database.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.FAILED, Reason.OTHER_CONTENT)
    assert {each["status"] for each in proof_values(bench.database, job_id)} == {"0x0000"}
    assert "SR" in job.detail
    delete_study(archives.orthanc, ours.study_instance_uid)


@pytest.mark.parametrize("source", ["orthanc-wado", BY_STOW])
def test_object_that_was_deleted_is_missing_and_sent_again(
    source: str, archives: Archives, make: Make
) -> None:
    pacs = destination_of(archives, read_back_from(source))
    bench, job_id = make(pacs)
    deliver(bench.database, send_files, [pacs], job_id)
    delete_study(archives.orthanc, bench.database.results.of_job(job_id)[0].study_instance_uid)
    prover = Prover(bench.pipeline.settings, bench.database)

    with pytest.raises(UndeliveredError, match="2 of 2 objects not proven, 2 sent again"):
        deliver(bench.database, send_files, [pacs], job_id, prover)
    deliver(bench.database, send_files, [pacs], job_id, prover)

    assert {p.state for p in bench.database.proofs.of_job(job_id)} == {ProofState.PROVEN}


def delete_study(orthanc: OrthancProcess, study_instance_uid: str) -> None:
    found = httpx.post(f"{orthanc.url}/tools/lookup", content=study_instance_uid).json()
    for entry in found:
        if entry["Type"] == "Study":
            httpx.delete(f"{orthanc.url}/studies/{entry['ID']}")

"""Results are looked up in a real archive, drawn on images fetched from it, and taken back there."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from pydicom import dcmread

from dicom_node.scu import send_files
from dicom_node.settings import Destination
from dicom_node.storage import ResultStore
from dicom_node.study import JobId, JobState, Reason
from tests.builders import Bench, make_bench
from tests.document_fonts import needs_text_font
from tests.fakes import FakeFamily
from tests.integration.dicom_node.programs import OrthancProcess
from worker.demo.phantom_studies import WrittenStudy
from worker.demo.servers import free_port
from worker.pipeline import Pipeline
from worker.results.commands import results

pytestmark = [
    needs_text_font,
    pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed"),
]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[OrthancProcess]:
    running = OrthancProcess(tmp_path, node_port=free_port()).start()
    yield running
    running.stop()


@pytest.fixture
def pacs(archive: OrthancProcess) -> Destination:
    return Destination(name="PACS", ae_title="ORTHANC", port=archive.port, profile="full")


@pytest.fixture
def bench(tmp_path: Path, pacs: Destination) -> Iterator[Bench]:
    """A node that delivers to the archive, and as a document too."""
    made = make_bench(tmp_path / "bench", FakeFamily)
    documents = pacs.model_copy(update={"name": "documents", "profile": "legacy-pdf"})
    settings = made.pipeline.settings.model_copy(update={"destinations": (pacs, documents)})
    store = ResultStore(settings.node.data_dir, made.database, destinations=["PACS", "documents"])
    old = made.pipeline
    pipeline = Pipeline(settings, old.database, old.store, store, old.reader, "test")
    yield Bench(made.database, made.store, pipeline, made.delivered)
    made.database.close()


@pytest.fixture
def job_id(bench: Bench, pacs: Destination, phantoms: dict[str, WrittenStudy]) -> JobId:
    """A job whose images and results are in the archive."""
    files = phantoms["chest, current"].files
    assert all(outcome.status == 0 for outcome in send_files(pacs, files))
    job_id = bench.file(files)
    bench.pipeline.take(job_id)
    job = bench.database.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.DONE, Reason.DELIVERED), job.detail
    return job_id


def elsewhere(folder: Path, archive: OrthancProcess) -> str:
    """The configuration of a node that has no store of its own."""
    file = folder / "elsewhere.toml"
    file.write_text(
        f'[node]\ndata_dir = "{folder}/nothing"\n[[query_retrieve]]\nname = "PACS"\n'
        f'ae_title = "ORTHANC"\nport = {archive.port}\ntimeout_s = 20\n',
        encoding="utf-8",
    )
    return str(file)


def test_every_result_is_found_in_the_archive_by_its_uid_alone(
    bench: Bench, job_id: JobId, archive: OrthancProcess, tmp_path: Path
) -> None:
    config = elsewhere(tmp_path, archive)
    kept = bench.database.results.of_job(job_id)
    assert {"SR", "SEG", "PR", "KO", "DOC"} == {result.modality for result in kept}
    for result in kept:
        done = CliRunner().invoke(results, ["show", result.sop_instance_uid, "--config", config])
        assert done.exit_code == 0, done.output
        assert f"modality: {result.modality}" in done.output


def test_a_report_is_drawn_on_the_image_that_the_archive_has(
    bench: Bench, job_id: JobId, archive: OrthancProcess, tmp_path: Path
) -> None:
    report = bench.database.results.of_job(job_id)[-1]
    picture = tmp_path / "report.png"
    config = elsewhere(tmp_path, archive)
    arguments = ["show", report.sop_instance_uid, "--config", config, "--picture", str(picture)]
    done = CliRunner().invoke(results, arguments)
    assert done.exit_code == 0, done.output
    with Image.open(picture) as drawn:
        pixels = np.asarray(drawn, dtype=int)[:, :-400]
    assert ((pixels.max(axis=-1) - pixels.min(axis=-1)) > 40).mean() > 0.002


def test_a_withdrawal_reaches_the_archive(
    bench: Bench, job_id: JobId, archive: OrthancProcess, tmp_path: Path
) -> None:
    config = tmp_path / "node.toml"
    data_dir = bench.pipeline.settings.node.data_dir
    config.write_text(f'[node]\ndata_dir = "{data_dir}"\n', encoding="utf-8")
    study = bench.database.jobs.get(job_id).study_instance_uid
    done = CliRunner().invoke(results, ["withdraw", study, "--reason", "a test", "--config", str(config)])
    assert done.exit_code == 0, done.output
    bench.pipeline.take(job_id)
    job = bench.database.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.DONE, Reason.WITHDRAWN), job.detail
    (withdrawal,) = bench.database.withdrawals.all()
    assert withdrawal.note is not None
    shown = CliRunner().invoke(results, ["show", withdrawal.note, "--config", elsewhere(tmp_path, archive)])
    assert "Rejected for Patient Safety Reasons" in shown.output
    note = bench.database.results.get(withdrawal.note)
    assert note is not None
    assert dcmread(note.path).StudyInstanceUID == study

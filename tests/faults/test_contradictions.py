"""Two contents under one identifier, two patients in one study: both are kept, nothing is sent unasked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3
from pydicom import Dataset, dcmread
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

from dicom_node.intake import Intake, Outcome
from dicom_node.study import JobId, JobState, Reason
from tests.builders import Bench, make_bench
from tests.fakes import FakeFamily
from tests.unit.dicom_node.arrivals import Sender, encoded
from worker.demo.phantom_studies import WrittenStudy

OTHERS = {
    "other pixels": {},
    "other patient": {"PatientID": "SOMEBODY"},
    "other study": {"StudyInstanceUID": "2.25.1001"},
    "other series": {"SeriesInstanceUID": "2.25.1002"},
    "other class": {"SOPClassUID": ComputedRadiographyImageStorage},
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path, FakeFamily)
    yield made
    made.database.close()


@pytest.fixture
def image(phantoms: dict[str, WrittenStudy]) -> Dataset:
    return dcmread(phantoms["chest, current"].files[0])


@pytest.fixture
def job_id(bench: Bench, phantoms: dict[str, WrittenStudy]) -> JobId:
    return bench.file(phantoms["chest, current"].files)


def send(bench: Bench, ds: Dataset, **elements: str) -> Outcome:
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    del ds.file_meta
    return Sender(Intake(bench.store, bench.database)).send(ds)


def is_held(bench: Bench, job_id: JobId) -> str:
    """Walk the job; return what a person is told, after nothing was sent."""
    bench.pipeline.take(job_id)
    job = bench.database.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.HELD, Reason.WITHHELD)
    assert not bench.delivered.exists()
    return job.detail


@pytest.mark.parametrize("elements", OTHERS.values(), ids=OTHERS)
def test_T16_other_content_under_a_known_uid_is_kept_and_a_person_decides(
    bench: Bench, job_id: JobId, image: Dataset, elements: dict[str, str]
) -> None:
    image.PixelData = bytes(len(image.PixelData))
    outcome = send(bench, image, **elements)
    assert (outcome.status, outcome.reason) == (0x0000, Reason.UID_CONFLICT)

    told = is_held(bench, job_id)

    (refusal,) = bench.database.refusals.all()
    kept = bench.database.instances.get(image.SOPInstanceUID)
    assert kept is not None
    assert refusal.kept_at is not None
    assert refusal.digest == "b3:" + blake3(encoded(image, ExplicitVRLittleEndian)).hexdigest(30)
    assert kept.digest in told
    assert refusal.digest in told
    assert kept.path.exists()
    assert refusal.kept_at.read_bytes().endswith(encoded(image))


@pytest.mark.parametrize(
    "elements",
    [
        {"PatientID": "SOMEBODY"},
        {"PatientName": "Some^Body", "PatientBirthDate": "19010203"},
        {"PatientID": "SOMEBODY", "SeriesInstanceUID": "2.25.1002"},
    ],
)
def test_T19_another_patient_within_a_study_is_kept_apart_and_a_person_decides(
    bench: Bench, job_id: JobId, image: Dataset, elements: dict[str, str]
) -> None:
    patient = str(image.PatientID)
    outcome = send(bench, image, SOPInstanceUID="2.25.1003", **elements)
    assert (outcome.status, outcome.reason) == (0x0000, Reason.PATIENT_MISMATCH)

    told = is_held(bench, job_id)

    assert told == "1 object came under another patient than the study's"
    results = [dcmread(result.path) for result in bench.database.results.of_job(job_id)]
    assert {str(ds.PatientID) for ds in results} == {patient}
    assert all("2.25.1003" not in str(ds) for ds in results)


def test_T16_what_contradicts_another_study_holds_nothing(
    bench: Bench, job_id: JobId, phantoms: dict[str, WrittenStudy]
) -> None:
    skin = dcmread(phantoms["skin lesion"].files[0])
    bench.file(phantoms["skin lesion"].files)
    skin.PixelData = bytes(len(skin.PixelData))
    assert send(bench, skin).reason is Reason.UID_CONFLICT

    bench.pipeline.take(job_id)

    assert bench.database.jobs.get(job_id).state is JobState.DONE

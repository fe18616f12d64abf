"""Results on images that their archive rejected are withdrawn, and the rest is read anew."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.uid import generate_uid

from dicom_node.completing import StudyCompleter
from dicom_node.intake import Intake
from dicom_node.rejections import act_on_notes
from dicom_node.study import JobId, JobState, Reason, Stage, StudyState
from model.reader import Reader
from model.reading import Reading, ReadingRequest
from tests.builders import Bench, make_bench
from tests.fakes import FakeFamily
from tests.rejection_notes import KEY_OBJECTS, QUALITY, SAFETY, rejection_note
from tests.unit.dicom_node.arrivals import Sender, dataset
from worker.demo.phantom_studies import WrittenStudy


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path / "bench", FakeFamily)
    node = made.pipeline.settings.node.model_copy(update={"quiet_period_s": 0.0})
    settings = made.pipeline.settings.model_copy(update={"node": node})
    yield replace(made, pipeline=replace(made.pipeline, settings=settings))
    made.database.close()


@pytest.fixture
def pair(tmp_path: Path, phantoms: dict[str, WrittenStudy]) -> list[Path]:
    """A skin lesion photographed twice."""
    first = phantoms["skin lesion"].files[0]
    ds = dcmread(first)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.InstanceNumber = 2
    second = tmp_path / "second.dcm"
    dcmwrite(second, ds)
    return [first, second]


def send(bench: Bench, ds: Dataset) -> None:
    assert Sender(Intake(bench.store, bench.database)).send(ds).status == 0


def reject(bench: Bench, files: Sequence[Path], title: str = SAFETY) -> None:
    named = [dcmread(file) for file in files]
    send(bench, rejection_note(named[0], named, title))
    act_on_notes(bench.database)


def complete(bench: Bench) -> None:
    settings, database = bench.pipeline.settings, bench.database
    StudyCompleter(settings, database, lambda _uid: False, lambda: None).complete_studies()


def work(bench: Bench) -> None:
    for stage in (Stage.READING, Stage.DELIVERY):
        while bench.database.jobs.waiting(stage):
            bench.pipeline.take_next(stage)


def delivered(bench: Bench) -> tuple[set[str], set[str]]:
    """The UIDs of results that were sent, and those that notes of ours withdraw."""
    results: set[str] = set()
    withdrawn: set[str] = set()
    for path in bench.delivered.rglob("*.dcm"):
        ds = dcmread(path)
        if ds.SOPClassUID != KEY_OBJECTS:
            results.add(str(ds.SOPInstanceUID))
            continue
        withdrawn |= {
            str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
            for item in ds.ContentSequence
            if "ReferencedSOPSequence" in item
        }
    return results, withdrawn


def jobs(bench: Bench, job_id: JobId) -> list[tuple[int, JobState, Reason | None]]:
    uid = bench.database.jobs.get(job_id).study_instance_uid
    return [(job.revision, job.state, job.reason) for job in bench.database.jobs.of_study(uid)]


@pytest.mark.parametrize(("title", "as_title"), [(SAFETY, "113037"), (QUALITY, "113001")])
def test_T20_results_on_a_rejected_image_are_withdrawn_and_the_other_is_read(
    bench: Bench, pair: list[Path], title: str, as_title: str
) -> None:
    job_id = bench.file(pair)
    work(bench)
    before, _ = delivered(bench)

    reject(bench, pair[:1], title)
    complete(bench)
    work(bench)

    after, withdrawn = delivered(bench)
    assert withdrawn == before
    assert after > before
    first, second = jobs(bench, job_id)
    assert first == (1, JobState.DONE, Reason.WITHDRAWN)
    assert second == (2, JobState.DONE, Reason.DELIVERED)
    notes = [ds for p in bench.delivered.rglob("*.dcm") if (ds := dcmread(p)).SOPClassUID == KEY_OBJECTS]
    assert [note.ConceptNameCodeSequence[0].CodeValue for note in notes] == [as_title]
    rejected = str(dcmread(pair[0]).SOPInstanceUID)
    for uid in after - before:
        result = bench.database.results.get(uid)
        assert result is not None
        assert rejected.encode() not in result.path.read_bytes()
    (decision,) = [each.decision for each in bench.database.withdrawals.all()]
    assert decision.decided_by == "a rejection note"


def test_T20_nothing_is_left_of_a_study_that_was_rejected_whole(bench: Bench, pair: list[Path]) -> None:
    job_id = bench.file(pair)
    work(bench)
    before, _ = delivered(bench)
    reject(bench, pair)
    complete(bench)
    work(bench)
    assert delivered(bench) == (before, before)
    assert jobs(bench, job_id) == [
        (1, JobState.DONE, Reason.WITHDRAWN),
        (2, JobState.NOT_APPLICABLE, Reason.NO_IMAGES),
    ]


def test_study_rejected_before_it_was_read_has_no_job(bench: Bench, pair: list[Path]) -> None:
    job_id = bench.file(pair)
    reject(bench, pair)
    complete(bench)
    uid = bench.database.jobs.get(job_id).study_instance_uid
    assert bench.database.studies.get(uid).state is StudyState.NOT_APPLICABLE
    assert bench.database.jobs.get(job_id).state is JobState.NOT_APPLICABLE
    assert bench.database.jobs.waiting(Stage.READING) == []


def test_T20_image_that_is_rejected_while_it_is_read_brings_no_result(bench: Bench, pair: list[Path]) -> None:
    job_id = bench.file(pair)

    def rejected_meanwhile() -> Reader:
        reject(bench, pair[:1])
        return Reader(FakeFamily())

    replace(bench.pipeline, reader=rejected_meanwhile).take(job_id)
    assert delivered(bench) == (set(), set())
    complete(bench)
    work(bench)
    assert jobs(bench, job_id) == [
        (1, JobState.NOT_APPLICABLE, Reason.REJECTED),
        (2, JobState.DONE, Reason.DELIVERED),
    ]
    assert delivered(bench)[1] == set()


def test_T20_results_that_wait_for_a_person_are_dropped(bench: Bench, pair: list[Path]) -> None:
    job_id = bench.file(pair)
    study = dcmread(pair[0])
    send(bench, dataset(StudyInstanceUID=study.StudyInstanceUID, PatientID="somebody else"))
    work(bench)
    assert bench.database.jobs.get(job_id).state is JobState.HELD
    reject(bench, pair[:1])
    complete(bench)
    work(bench)
    assert bench.database.jobs.get(job_id).state is JobState.DROPPED
    assert delivered(bench) == (set(), set())
    assert bench.database.withdrawals.all() == []


@pytest.fixture
def later(bench: Bench, phantoms: dict[str, WrittenStudy]) -> JobId:
    """The job of a chest study whose prior is in the store and was read."""
    bench.file(phantoms["chest, prior"].files)
    work(bench)
    return bench.file(phantoms["chest, current"].files)


def tell_of(bench: Bench, uids: set[str], image: Path) -> bool:
    named = str(dcmread(image).SOPInstanceUID).encode()
    found = [bench.database.results.get(uid) for uid in uids]
    return any(named in result.path.read_bytes() for result in found if result is not None)


def test_T20_study_that_was_compared_with_a_rejected_image_is_read_anew_without_it(
    bench: Bench, later: JobId, phantoms: dict[str, WrittenStudy]
) -> None:
    prior = phantoms["chest, prior"].files
    of_prior, _ = delivered(bench)
    work(bench)
    compared, _ = delivered(bench)
    assert tell_of(bench, compared - of_prior, prior[0])

    reject(bench, prior)
    complete(bench)
    work(bench)

    after, withdrawn = delivered(bench)
    assert withdrawn == compared
    assert after > compared
    assert not tell_of(bench, after - compared, prior[0])
    assert jobs(bench, later) == [
        (1, JobState.DONE, Reason.WITHDRAWN),
        (2, JobState.DONE, Reason.DELIVERED),
    ]


def test_T20_prior_that_is_rejected_while_it_is_compared_brings_no_result(
    bench: Bench, later: JobId, phantoms: dict[str, WrittenStudy]
) -> None:
    class Slow(Reader):
        def read(self, request: ReadingRequest) -> Reading:
            reject(bench, phantoms["chest, prior"].files)
            return super().read(request)

    of_prior, _ = delivered(bench)
    replace(bench.pipeline, reader=lambda: Slow(FakeFamily())).take(later)
    assert delivered(bench) == (of_prior, set())
    complete(bench)
    work(bench)
    assert jobs(bench, later) == [
        (1, JobState.NOT_APPLICABLE, Reason.REJECTED),
        (2, JobState.DONE, Reason.DELIVERED),
    ]


def test_prior_that_is_rejected_before_it_is_chosen_is_not_chosen(
    bench: Bench, later: JobId, phantoms: dict[str, WrittenStudy]
) -> None:
    reject(bench, phantoms["chest, prior"].files)
    work(bench)
    assert jobs(bench, later) == [(1, JobState.DONE, Reason.DELIVERED)]
    results = {str(each.sop_instance_uid) for each in bench.database.results.of_job(later)}
    assert not tell_of(bench, results, phantoms["chest, prior"].files[0])

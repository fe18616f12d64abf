"""One study through real store, real index and real writers; only the model is a fake."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydicom import dcmread
from sqlalchemy import update

from dicom_node.database.schema import jobs
from dicom_node.study import JobState, Reason, Stage
from model.errors import WeightsError
from model.families.family import Family
from model.reader import Reader
from model.reading import Modality
from model.vocabulary import DEMO
from model.volume import PlanarImage, Volume
from tests.builders import Bench, make_bench
from tests.driving import items_named
from tests.fakes import FakeFamily, FakeSight
from worker.demo.phantom_studies import WrittenStudy
from worker.settings import DELIVERY_PATIENCE
from worker.stopwatch import Stopwatch

CHANGED_STATUS = "263703002"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path, FakeFamily)
    yield made
    made.database.close()


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("chest, current", ["PR", "SEG", "SR"]),
        ("abdomen CT", ["SEG", "SR"]),
        ("skin lesion", ["SEG", "SR"]),
    ],
)
def test_study_ends_delivered(
    bench: Bench, phantoms: dict[str, WrittenStudy], title: str, expected: list[str]
) -> None:
    job_id = bench.file(phantoms[title].files)
    bench.pipeline.take(job_id)
    job = bench.database.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.DONE, Reason.DELIVERED), job.detail
    assert sorted(dcmread(path).Modality for path in bench.delivered.rglob("*.dcm")) == expected


def test_report_is_sent_last(bench: Bench, phantoms: dict[str, WrittenStudy]) -> None:
    job_id = bench.file(phantoms["chest, current"].files)
    bench.pipeline.take(job_id)
    assert [result.modality for result in bench.database.results.of_job(job_id)][-1] == "SR"


def test_prior_in_the_store_is_compared(bench: Bench, phantoms: dict[str, WrittenStudy]) -> None:
    prior_job = bench.file(phantoms["chest, prior"].files)
    bench.pipeline.take(prior_job)
    job_id = bench.file(phantoms["chest, current"].files)
    bench.pipeline.take(job_id)
    report = dcmread(bench.database.results.of_job(job_id)[-1].path)
    codes = {item.ConceptCodeSequence[0].CodeValue for item in items_named(report, CHANGED_STATUS)}
    assert codes == {"260388006"}  # No change
    prior_report = dcmread(bench.database.results.of_job(prior_job)[-1].path)
    assert not items_named(prior_report, CHANGED_STATUS)
    assert prior_report.SOPInstanceUID in str(report)


def test_second_run_sends_the_stored_objects_again_and_makes_none(
    bench: Bench, phantoms: dict[str, WrittenStudy]
) -> None:
    job_id = bench.file(phantoms["skin lesion"].files)
    lease = bench.database.jobs.claim(job_id, "first", 60)
    assert lease is not None
    bench.pipeline.run(lease, Stopwatch())
    before = bench.database.results.of_job(job_id)
    bench.pipeline.take(job_id)
    assert bench.database.results.of_job(job_id) == before


def test_image_outside_the_domain_ends_without_objects(
    tmp_path: Path, phantoms: dict[str, WrittenStudy]
) -> None:
    bench = make_bench(tmp_path, lambda: FakeFamily(is_chest=False))
    job_id = bench.file(phantoms["chest, current"].files)
    bench.pipeline.take(job_id)
    job = bench.database.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.NOT_APPLICABLE, Reason.OUT_OF_DOMAIN)
    assert job.detail
    assert bench.database.results.of_job(job_id) == ()
    bench.database.close()


def test_M12_altered_weights_fail_visibly(tmp_path: Path, phantoms: dict[str, WrittenStudy]) -> None:
    def broken() -> Family:
        raise WeightsError("model.safetensors does not have its hash")

    bench = make_bench(tmp_path, broken)
    job_id = bench.file(phantoms["skin lesion"].files)
    bench.pipeline.take(job_id)
    job = bench.database.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.FAILED, Reason.WEIGHTS)
    bench.database.close()


def test_M09_unforeseen_error_is_tried_again_and_quotes_nothing(
    tmp_path: Path, phantoms: dict[str, WrittenStudy]
) -> None:
    def broken() -> Family:
        raise ValueError("Phantom^Derma")

    bench = make_bench(tmp_path, broken)
    job_id = bench.file(phantoms["skin lesion"].files)
    bench.pipeline.take(job_id)
    job = bench.database.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.QUEUED, Reason.INTERNAL)
    assert job.detail == "ValueError"
    bench.database.close()


def test_undecodable_instance_is_quarantined_and_its_neighbour_read(
    bench: Bench, phantoms: dict[str, WrittenStudy], tmp_path: Path
) -> None:
    good = phantoms["chest, prior"].files[0]
    broken = dcmread(good)
    broken.SOPInstanceUID = broken.file_meta.MediaStorageSOPInstanceUID = "2.25.4711"
    broken.PixelData = broken.PixelData[:100]
    broken.save_as(tmp_path / "broken.dcm", enforce_file_format=True)
    job_id = bench.file([tmp_path / "broken.dcm", good])
    bench.pipeline.take(job_id)
    assert bench.database.jobs.get(job_id).state is JobState.DONE
    (refusal,) = bench.database.refusals.all()
    assert (refusal.sop_instance_uid, refusal.reason) == ("2.25.4711", Reason.PIXEL_DATA)


def test_same_job_in_another_store_gives_the_same_bytes(
    bench: Bench, phantoms: dict[str, WrittenStudy], tmp_path: Path
) -> None:
    """Only the job's own time may differ between two nodes; here both get the same."""
    twin = make_bench(tmp_path / "twin", FakeFamily)
    digests: list[list[str]] = []
    when = None
    for each in (bench, twin):
        job_id = each.file(phantoms["skin lesion"].files)
        job = each.database.jobs.get(job_id)
        when = when or job.created_at
        lease = each.database.jobs.claim(job_id, "x", 60)
        assert lease is not None
        pinned = type(job)(
            **{name: getattr(lease.job, name) for name in job.__slots__} | {"created_at": when}
        )
        # Not checked: the step alone, without delivery.
        objects = each.pipeline._read(pinned, Stopwatch())  # pyright: ignore[reportPrivateUsage]
        results = each.pipeline.results.keep(lease, objects.objects)
        digests.append([result.sha256 for result in results])
    twin.database.close()
    assert digests[0] == digests[1]


@pytest.mark.parametrize("every_view", [False, True])
def test_a_model_that_was_taught_several_views_is_shown_them(
    tmp_path: Path, phantoms: dict[str, WrittenStudy], every_view: bool
) -> None:
    (frontal,) = phantoms["chest, current"].files
    lateral = dcmread(frontal)
    lateral.SOPInstanceUID = lateral.file_meta.MediaStorageSOPInstanceUID = "2.25.4712"
    lateral.ViewPosition, lateral.PatientOrientation = "LL", ["A", "F"]
    lateral.SeriesDescription = "CHEST LAT"
    del lateral.ViewCodeSequence
    lateral.save_as(tmp_path / "lateral.dcm", enforce_file_format=True)
    family = SeveralViews() if every_view else FakeFamily()
    bench = make_bench(tmp_path, lambda: family)
    job_id = bench.file([frontal, tmp_path / "lateral.dcm"])
    bench.pipeline.take(job_id)
    bench.database.close()
    shown = "<img0><img1>" if every_view else "<img0>"
    assert any(call.endswith(f"characterize the findings from {shown}?") for call in family.calls)


class SeveralViews(FakeFamily):
    """Taught chest studies of several views."""

    vocabulary = replace(DEMO, reads_every_view=True)


class LostDevice(FakeFamily):
    """A family whose accelerator is gone for good."""

    def look(self, modality: Modality, images: Sequence[PlanarImage | Volume]) -> FakeSight:
        raise torch.AcceleratorError("unspecified launch failure", 719)


def test_Q16_process_whose_accelerator_is_lost_is_replaced_and_the_study_read_again(
    tmp_path: Path, phantoms: dict[str, WrittenStudy]
) -> None:
    bench = make_bench(tmp_path, LostDevice)
    job_id = bench.file(phantoms["skin lesion"].files)

    with pytest.raises(SystemExit) as ended:
        bench.pipeline.take(job_id)

    job = bench.database.jobs.get(job_id)
    bench.database.close()
    assert ended.value.code == 75
    assert (job.state, job.reason, job.attempts) == (JobState.QUEUED, Reason.MODEL_ERROR, 1)


def test_job_of_a_process_that_is_told_to_end_is_given_back_uncounted(
    bench: Bench, phantoms: dict[str, WrittenStudy]
) -> None:
    def told_to_end() -> Reader:
        raise SystemExit(0)

    job_id = bench.file(phantoms["skin lesion"].files)
    with pytest.raises(SystemExit):
        replace(bench.pipeline, reader=told_to_end).take(job_id)

    job = bench.database.jobs.get(job_id)
    assert (job.state, job.reason, job.attempts) == (JobState.QUEUED, Reason.SHUT_DOWN, 0)
    assert bench.database.jobs.waiting(Stage.READING) == [job_id]


def test_read_study_is_left_to_those_who_deliver(bench: Bench, phantoms: dict[str, WrittenStudy]) -> None:
    told: list[int] = []
    reading = replace(bench.pipeline, to_delivery=told.append)
    job_id = bench.file(phantoms["skin lesion"].files)

    reading.take_next(Stage.READING)

    assert told == [job_id]
    assert not list(bench.delivered.rglob("*.dcm"))
    reading.take_next(Stage.DELIVERY)
    assert bench.database.jobs.get(job_id).state is JobState.DONE


def test_P01_patience_with_a_destination_begins_when_it_is_first_tried(
    bench: Bench, phantoms: dict[str, WrittenStudy]
) -> None:
    """A study that has waited for a reader since the day before is not given up at the first silence."""
    job_id = bench.file(phantoms["skin lesion"].files)
    with bench.database.connections.writing() as connection:
        long_ago = bench.database.connections.now() - 2 * DELIVERY_PATIENCE
        connection.execute(update(jobs).values(created_at=long_ago))
    bench.delivered.write_text("a file where the folder should be")

    bench.pipeline.take(job_id)

    job = bench.database.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.DELIVERING, Reason.PEER_UNREACHABLE)

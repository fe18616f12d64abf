"""One page on which everything stands that happened to a study."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from dicom_node.errors import StorageError
from dicom_node.interventions import cancel, prioritize, retry
from dicom_node.study import JobState, Priority, Reason
from dicom_node.timeline.command import timeline
from dicom_node.timeline.page import lines_of, page_of
from dicom_node.timeline.timeline import timeline_of
from model.errors import ModelError
from tests.builders import Bench, make_bench
from tests.fakes import FakeFamily
from worker.demo.phantom_studies import WrittenStudy


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path, FakeFamily)
    yield made
    made.database.close()


def config_of(bench: Bench, folder: Path) -> Path:
    path = folder / "node.toml"
    path.write_text(f'[node]\ndata_dir = "{bench.pipeline.settings.node.data_dir}"\n')
    return path


def test_a_study_from_its_first_instance_to_its_delivery(
    bench: Bench, phantoms: dict[str, WrittenStudy]
) -> None:
    study = phantoms["skin lesion"]
    job_id = bench.file(study.files)
    bench.pipeline.take(job_id)

    told = timeline_of(bench.database, study.study_instance_uid)

    texts = [entry["text"] for entry in told["entries"]]
    assert "arrived" in texts[0]
    steps = [
        "study: complete, no new instance for the quiet period",
        f"job {job_id}: queued",
        f"job {job_id}: running",
        "priors",
        f"job {job_id}: delivering",
        f"job {job_id}: done, every object was accepted by every destination",
        "timed",
    ]
    assert [text for text in texts if text in steps] == steps
    timed = told["entries"][-1]["detail"]
    assert "model_s" in timed
    assert "deliver_s" in timed
    assert told["entries"][texts.index("priors")]["detail"] == "0 to compare with"
    (job,) = told["jobs"]
    assert [each["modality"] for each in job["objects"]][-1] == "SR"
    for each in job["objects"]:
        (sent,) = each["destinations"]
        assert (sent["name"], sent["state"], sent["status"]) == ("folder", "delivered", "0x0000")
    assert not any(entry["is_failure"] for entry in told["entries"])


def test_job_number_means_its_study(bench: Bench, phantoms: dict[str, WrittenStudy]) -> None:
    study = phantoms["skin lesion"]
    job_id = bench.file(study.files)

    assert timeline_of(bench.database, str(job_id))["study"]["study_instance_uid"] == study.study_instance_uid
    with pytest.raises(StorageError, match="not known here"):
        timeline_of(bench.database, "1.2.3")


class BrokenFamily(FakeFamily):
    def look(self, modality: object, images: object) -> None:  # type: ignore[override] # a fake
        raise ModelError("<script>the weights are full of holes</script>")


def test_failure_stands_out_with_its_reason_and_what_to_do(
    tmp_path: Path, phantoms: dict[str, WrittenStudy]
) -> None:
    bench = make_bench(tmp_path, BrokenFamily)
    study = phantoms["skin lesion"]
    bench.pipeline.take(bench.file(study.files))
    told = timeline_of(bench.database, study.study_instance_uid)
    bench.database.close()

    (failure,) = [entry for entry in told["entries"] if entry["is_failure"]]
    assert failure["text"].endswith("failed, the model failed")
    assert "full of holes" in failure["detail"]
    marked = [line for line in lines_of(told) if line.startswith("!")]
    assert len(marked) == 1
    assert any("-> look into the worker's log" in line for line in lines_of(told))


def test_X04_what_others_wrote_is_text_on_the_page(tmp_path: Path, phantoms: dict[str, WrittenStudy]) -> None:
    bench = make_bench(tmp_path, BrokenFamily)
    study = phantoms["skin lesion"]
    bench.pipeline.take(bench.file(study.files))
    page = page_of(timeline_of(bench.database, study.study_instance_uid))
    bench.database.close()

    assert "<script" not in page
    assert "&lt;script&gt;the weights" in page


def test_command_prints_lines_and_json_and_writes_a_page(
    bench: Bench, phantoms: dict[str, WrittenStudy], tmp_path: Path
) -> None:
    study = phantoms["skin lesion"]
    bench.file(study.files)
    config = str(config_of(bench, tmp_path))

    def invoke(*more: str) -> str:
        result = CliRunner().invoke(timeline, [study.study_instance_uid, "--config", config, *more])
        assert result.exit_code == 0, result.output
        return result.output

    assert f"study {study.study_instance_uid}: complete" in invoke()
    assert json.loads(invoke("--json"))["study"]["state"] == "complete"
    assert invoke("--html", str(tmp_path / "page.html")) == ""
    assert "<!doctype html>" in (tmp_path / "page.html").read_text()


def test_what_others_announce_is_a_signal(bench: Bench, phantoms: dict[str, WrittenStudy]) -> None:
    study = phantoms["skin lesion"]
    bench.file(study.files)
    bench.database.announcements.announce(study.study_instance_uid, [])

    (announced,) = [
        entry
        for entry in timeline_of(bench.database, study.study_instance_uid)["entries"]
        if entry["text"] == "announced"
    ]
    assert (announced["kind"], announced["detail"]) == ("signal", "0 images are available")


def test_wait_between_two_entries_is_told(bench: Bench, phantoms: dict[str, WrittenStudy]) -> None:
    bench.file(phantoms["skin lesion"].files)
    entries = timeline_of(bench.database, phantoms["skin lesion"].study_instance_uid)["entries"]

    assert entries[0]["after_s"] == 0
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)


def test_job_is_cancelled_tried_again_and_made_urgent(
    bench: Bench, phantoms: dict[str, WrittenStudy], tmp_path: Path
) -> None:
    study = phantoms["skin lesion"]
    job_id = bench.file(study.files)
    config = ["--config", str(config_of(bench, tmp_path))]
    why = ["--reason", "wrong side", "--by", "Dr. A"]

    ended = CliRunner().invoke(cancel, [study.study_instance_uid, *config, *why])
    assert ended.output == f"job {job_id} is cancelled\n"
    assert bench.database.jobs.get(job_id).state is JobState.CANCELLED
    bench.pipeline.take(job_id)
    assert bench.database.results.of_job(job_id) == ()

    again = CliRunner().invoke(retry, [str(job_id), *config, *why])
    assert again.output == f"job {job_id} is queued again\n"
    urgent = CliRunner().invoke(prioritize, [str(job_id), "stat", *config, "--by", "Dr. B"])
    assert urgent.output == f"job {job_id} is stat\n"
    job = bench.database.jobs.get(job_id)
    assert (job.priority, job.reason) == (Priority.STAT, Reason.REPLAYED)
    bench.pipeline.take(job_id)

    assert bench.database.jobs.get(job_id).state is JobState.DONE
    entries = timeline_of(bench.database, str(job_id))["entries"]
    told = [entry["text"] for entry in entries]
    assert "cancelled by Dr. A" in told
    assert "replayed by Dr. A" in told
    assert "stat by Dr. B" in [entry["detail"] for entry in entries]


def test_nobody_is_no_job(bench: Bench, tmp_path: Path) -> None:
    config = str(config_of(bench, tmp_path))
    for named in ("1.2.3", "nonsense", "77"):
        result = CliRunner().invoke(cancel, [named, "--config", config, "--reason", "x"])
        assert result.exit_code == 1

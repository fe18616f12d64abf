"""What the gate holds waits for a person; released it goes the usual way, dropped it never goes."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydicom import Dataset, dcmread

from dicom_node.cli import main
from dicom_node.study import DeliveryState, JobId, JobState, Reason, Stage
from tests.builders import Bench, make_bench
from tests.fakes import FakeFamily
from tests.results_command import run
from worker import result_objects
from worker.demo.phantom_studies import WrittenStudy
from worker.request import StudyPreparation

FAULT = "SR: a finding is not said, or not with its side"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A node whose gate finds a fault in everything."""

    def gate(objects: Sequence[Dataset], *args: object, **kwargs: object) -> list[str]:
        return [FAULT]

    monkeypatch.setattr(result_objects, "publication_faults", gate)
    made = make_bench(tmp_path / "bench", FakeFamily)
    yield made
    made.database.close()


@pytest.fixture
def job_id(bench: Bench, phantoms: dict[str, WrittenStudy]) -> JobId:
    job_id = bench.file(phantoms["chest, current"].files)
    bench.pipeline.take(job_id)
    return job_id


def delivered(bench: Bench) -> list[Path]:
    return sorted(bench.delivered.rglob("*.dcm"))


def test_what_breaks_a_rule_is_kept_held_and_not_sent(bench: Bench, job_id: JobId) -> None:
    job = bench.database.jobs.get(job_id)
    assert (job.state, job.reason, job.detail) == (JobState.HELD, Reason.WITHHELD, FAULT)
    kept = bench.database.results.of_job(job_id)
    assert [result.modality for result in kept][-1] == "SR"
    assert all(result.path.exists() for result in kept)
    assert delivered(bench) == []


def test_held_says_job_study_objects_and_why(bench: Bench, job_id: JobId) -> None:
    (told,) = json.loads(run(bench, "held", "--json").output)
    assert told["job_id"] == job_id
    assert told["because"] == [FAULT]
    kept = {result.sop_instance_uid for result in bench.database.results.of_job(job_id)}
    assert {each["sop_instance_uid"] for each in told["objects"]} == kept
    assert told["destinations"] == ["folder"]
    text = run(bench, "held").output
    assert f"because: {FAULT}" in text
    assert all(uid in text for uid in kept)


def test_held_objects_can_be_looked_at(bench: Bench, job_id: JobId) -> None:
    uid = bench.database.results.of_job(job_id)[-1].sop_instance_uid
    assert "Imaging Measurement Report" in run(bench, "show", uid).output


@pytest.mark.parametrize("named_by", ["job", "object", "study"])
def test_released_results_go_the_usual_way(bench: Bench, job_id: JobId, named_by: str) -> None:
    stored = bench.database.results.of_job(job_id)
    names = {"job": str(job_id), "object": stored[0].sop_instance_uid, "study": stored[0].study_instance_uid}
    done = run(bench, "release", names[named_by], "--reason", "the side is in the text", "--by", "ada")
    assert done.exit_code == 0, done.output
    assert delivered(bench) == [], "the worker delivers, not the command"
    assert bench.database.jobs.waiting(Stage.DELIVERY) == [job_id]
    bench.pipeline.take(job_id)
    job = bench.database.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.DONE, Reason.DELIVERED)
    sent = {str(dcmread(path).SOPInstanceUID): path.read_bytes() for path in delivered(bench)}
    assert sent == {result.sop_instance_uid: result.path.read_bytes() for result in stored}


def test_releasing_twice_sends_once(bench: Bench, job_id: JobId) -> None:
    for _ in range(2):
        done = run(bench, "release", str(job_id), "--reason", "looked at it")
        assert done.exit_code == 0
        bench.pipeline.take(job_id)
    assert "nothing changed" in done.output
    deliveries = bench.database.deliveries.of_job(job_id)
    assert {(each.state, each.attempts) for each in deliveries} == {(DeliveryState.DELIVERED, 1)}


def test_dropped_results_never_go(bench: Bench, job_id: JobId) -> None:
    done = run(bench, "drop", str(job_id), "--reason", "wrong side", "--by", "ada")
    assert done.exit_code == 0, done.output
    bench.pipeline.take(job_id)
    assert bench.database.jobs.get(job_id).state is JobState.DROPPED
    assert delivered(bench) == []
    assert run(bench, "drop", str(job_id), "--reason", "wrong side").exit_code == 0
    refused = run(bench, "release", str(job_id), "--reason", "changed my mind")
    assert refused.exit_code == 1
    assert delivered(bench) == []


def test_what_was_decided_is_listed_with_who_and_why(bench: Bench, job_id: JobId) -> None:
    run(bench, "drop", str(job_id), "--reason", "wrong side", "--by", "ada")
    assert run(bench, "held").output == "nothing is held\n"
    assert "dropped at" in run(bench, "held", "--all").output
    (told,) = json.loads(run(bench, "held", "--all", "--json").output)
    assert told["decision"].items() >= {"kind": "dropped", "by": "ada", "reason": "wrong side"}.items()


def test_a_worker_that_died_before_it_said_held_leaves_nothing_to_be_sent(
    bench: Bench, phantoms: dict[str, WrittenStudy]
) -> None:
    job_id = bench.file(phantoms["skin lesion"].files)
    lease = bench.database.jobs.claim(job_id, "first", -1)
    assert lease is not None
    bench.pipeline.results.keep(lease, _one_object(), {"folder": {"1.2.3.4"}}, faults=[FAULT])
    bench.database.jobs.sweep(3, 60)
    bench.pipeline.take(job_id)
    assert bench.database.jobs.get(job_id).state is JobState.HELD
    assert delivered(bench) == []


def _one_object() -> list[Dataset]:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.34", "1.2.3.4"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality = "1.2.3", "1.2.3.1", "SR"
    ds.ensure_file_meta()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    return [ds]


def test_a_later_report_does_not_name_what_is_held(
    bench: Bench, job_id: JobId, phantoms: dict[str, WrittenStudy]
) -> None:
    study = bench.database.jobs.get(job_id).study_instance_uid
    preparation = StudyPreparation(bench.database, bench.store)
    assert preparation.latest_report(study) is None
    run(bench, "release", str(job_id), "--reason", "looked at it")
    assert preparation.latest_report(study) is not None


@pytest.mark.parametrize(
    ("what", "why"), [("99", "nothing of 99 is held"), ("1.2.3", "nothing of 1.2.3"), ("x", "no job number")]
)
def test_what_is_not_held_is_said_not_to_be(bench: Bench, job_id: JobId, what: str, why: str) -> None:
    for command in ("release", "drop"):
        done = run(bench, command, what, "--reason", "because")
        assert done.exit_code == 2
        assert why in done.output


def test_a_reason_is_asked_for(bench: Bench, job_id: JobId) -> None:
    assert run(bench, "drop", str(job_id)).exit_code == 2
    assert run(bench, "drop", str(job_id), "--reason", " ").exit_code == 2
    assert bench.database.jobs.get(job_id).state is JobState.HELD


def test_status_says_what_to_do(bench: Bench, job_id: JobId) -> None:
    run(bench, "held")
    config = str(bench.delivered.parent / "node.toml")
    done = CliRunner().invoke(main, ["status", "--config", config, "--json"])
    (told,) = json.loads(done.output)["jobs"]
    assert (told["state"], told["reason"], told["detail"]) == ("held", "WITHHELD", FAULT)
    assert "results held" in told["what_to_do"]

"""Withdrawal: by a command, for those who have the results, once, and with who and why."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from pydicom import Dataset, dcmread

from dicom_node.settings import Destination
from dicom_node.storage import ResultStore
from dicom_node.study import DeliveryState, JobId, JobState, Reason, Stage
from tests.builders import Bench, make_bench
from tests.conftest import ROOT
from tests.fakes import FakeFamily
from tests.rejection_notes import KEY_OBJECTS
from tests.results_command import run
from worker import result_objects
from worker.demo.phantom_studies import WrittenStudy
from worker.request import StudyPreparation


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path / "bench", FakeFamily)
    yield made
    made.database.close()


@pytest.fixture
def job_id(bench: Bench, phantoms: dict[str, WrittenStudy]) -> JobId:
    """A job whose results were delivered."""
    job_id = bench.file(phantoms["skin lesion"].files)
    bench.pipeline.take(job_id)
    return job_id


def withdraw(bench: Bench, what: str, *more: str) -> Result:
    return run(bench, "withdraw", what, "--reason", "another patient's", "--by", "ada", *more)


def study_of(bench: Bench, job_id: JobId) -> str:
    return bench.database.jobs.get(job_id).study_instance_uid


def notes_in(folder: Path) -> list[Dataset]:
    return [ds for path in folder.rglob("*.dcm") if (ds := dcmread(path)).SOPClassUID == KEY_OBJECTS]


def test_a_note_on_all_results_of_a_study_goes_where_they_went(bench: Bench, job_id: JobId) -> None:
    sent = {str(dcmread(path).SOPInstanceUID) for path in bench.delivered.rglob("*.dcm")}
    done = withdraw(bench, study_of(bench, job_id))
    assert done.exit_code == 0, done.output
    assert notes_in(bench.delivered) == [], "the worker delivers, not the command"
    assert bench.database.jobs.waiting(Stage.DELIVERY) == [job_id]
    bench.pipeline.take(job_id)
    (note,) = notes_in(bench.delivered)
    (title,) = note.ConceptNameCodeSequence
    assert title.CodeValue == "113037"
    named = {
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in note.ContentSequence
        if "ReferencedSOPSequence" in item
    }
    assert named == sent
    job = bench.database.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.DONE, Reason.WITHDRAWN)
    assert all(result.path.exists() for result in bench.database.results.of_job(job_id))


def test_one_result_can_be_withdrawn_alone(bench: Bench, job_id: JobId) -> None:
    first, *others = bench.database.results.of_job(job_id)
    assert withdraw(bench, first.sop_instance_uid, "--for", "quality").exit_code == 0
    bench.pipeline.take(job_id)
    (note,) = notes_in(bench.delivered)
    assert note.ConceptNameCodeSequence[0].CodeValue == "113001"
    assert bench.database.withdrawals.withdrawn(job_id) == {first.sop_instance_uid}
    assert bench.database.jobs.get(job_id).reason is Reason.DELIVERED
    # What is left follows later, in a note of its own, which does not name what was withdrawn.
    assert withdraw(bench, study_of(bench, job_id)).exit_code == 0
    bench.pipeline.take(job_id)
    assert len(notes_in(bench.delivered)) == 2
    assert bench.database.jobs.get(job_id).reason is Reason.WITHDRAWN
    second = bench.database.withdrawals.all()[-1]
    assert set(second.results) == {each.sop_instance_uid for each in others}


def test_withdrawing_again_changes_nothing(bench: Bench, job_id: JobId) -> None:
    withdraw(bench, study_of(bench, job_id))
    bench.pipeline.take(job_id)
    again = withdraw(bench, study_of(bench, job_id))
    assert again.exit_code == 0
    assert "nothing changed" in again.output
    assert bench.database.jobs.get(job_id).state is JobState.DONE
    assert len(bench.database.withdrawals.all()) == 1


def test_who_when_why_and_how_far_are_told(bench: Bench, job_id: JobId) -> None:
    withdraw(bench, study_of(bench, job_id))
    (before,) = json.loads(run(bench, "withdrawn").output)
    assert before["delivered"] == {"folder": "pending"}
    bench.pipeline.take(job_id)
    (told,) = json.loads(run(bench, "withdrawn").output)
    assert (told["by"], told["reason"], told["job_id"]) == ("ada", "another patient's", job_id)
    assert told["delivered"] == {"folder": "delivered"}
    assert told["note"] == str(notes_in(bench.delivered)[0].SOPInstanceUID)
    assert "another patient" not in str(notes_in(bench.delivered)[0])


def two_destinations(bench: Bench, folder: Path) -> Bench:
    """The same node with a second destination out of reach: a file stands where its folder would be."""
    (folder / "blocked").write_text("", encoding="utf-8")
    blocked = Destination(name="blocked", kind="folder", folder=folder / "blocked" / "folder")
    both = (*bench.pipeline.settings.destinations, blocked)
    settings = bench.pipeline.settings.model_copy(update={"destinations": both})
    store = ResultStore(settings.node.data_dir, bench.database, destinations=[each.name for each in both])
    return replace(bench, pipeline=replace(bench.pipeline, settings=settings, results=store))


def test_who_has_nothing_gets_neither_results_nor_note(
    bench: Bench, phantoms: dict[str, WrittenStudy], tmp_path: Path
) -> None:
    bench = two_destinations(bench, tmp_path)
    job_id = bench.file(phantoms["skin lesion"].files)
    bench.pipeline.take(job_id)
    assert bench.database.jobs.get(job_id).state is JobState.DELIVERING
    assert withdraw(bench, study_of(bench, job_id)).exit_code == 0
    (tmp_path / "blocked").unlink()
    bench.pipeline.take(job_id)
    assert not (tmp_path / "blocked").exists()
    assert len(notes_in(bench.delivered)) == 1
    assert bench.database.jobs.get(job_id).state is JobState.DONE
    states = {(d.destination, d.state) for d in bench.database.deliveries.of_job(job_id)}
    assert states == {("folder", DeliveryState.DELIVERED), ("blocked", DeliveryState.CANCELLED)}


def test_what_reached_nobody_needs_no_note(bench: Bench, job_id: JobId) -> None:
    for delivery in bench.database.deliveries.of_job(job_id):
        bench.database.deliveries.record(
            delivery.sop_instance_uid, delivery.destination, DeliveryState.REFUSED, 0x0122
        )
    done = withdraw(bench, study_of(bench, job_id))
    assert done.exit_code == 0, done.output
    assert "no note is sent" in done.output
    (withdrawal,) = bench.database.withdrawals.all()
    assert withdrawal.note is None
    kept = {result.path for result in bench.database.results.of_job(job_id)}
    spool = bench.pipeline.settings.node.data_dir / "results"
    assert {path for path in spool.rglob("*.dcm") if path.stat().st_size} == kept, "no note is left behind"


def test_held_results_are_not_withdrawn(
    bench: Bench, phantoms: dict[str, WrittenStudy], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gate(objects: Sequence[Dataset], *args: object, **kwargs: object) -> list[str]:
        return ["SR: claims to be verified"]

    monkeypatch.setattr(result_objects, "publication_faults", gate)
    job_id = bench.file(phantoms["skin lesion"].files)
    bench.pipeline.take(job_id)
    done = withdraw(bench, study_of(bench, job_id))
    assert done.exit_code == 2
    assert "nobody has it" in done.output
    assert bench.database.jobs.get(job_id).state is JobState.HELD


def test_a_worker_that_is_sending_is_not_crossed(bench: Bench, job_id: JobId) -> None:
    withdraw(bench, bench.database.results.of_job(job_id)[0].sop_instance_uid)
    assert bench.database.jobs.claim(job_id, "worker", 60) is not None
    refused = withdraw(bench, study_of(bench, job_id))
    assert refused.exit_code == 1
    assert len(bench.database.withdrawals.all()) == 1


def test_a_later_report_does_not_name_what_was_withdrawn(bench: Bench, job_id: JobId) -> None:
    preparation = StudyPreparation(bench.database, bench.store)
    study = bench.database.jobs.get(job_id).study_instance_uid
    assert preparation.latest_report(study) is not None
    withdraw(bench, study)
    assert preparation.latest_report(study) is None


@pytest.mark.parametrize("what", ["1.2.3", "nothing"])
def test_what_is_not_ours_is_not_withdrawn(bench: Bench, job_id: JobId, what: str) -> None:
    assert withdraw(bench, what).exit_code == 2
    assert bench.database.withdrawals.all() == []


def test_only_the_command_and_what_archives_reject_withdraw() -> None:
    """Never by what the node thinks of its results: no other code writes a note."""
    users = {
        str(path.relative_to(ROOT))
        for package in ("dicom_node", "worker", "structured_reports")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"\brejection_note\(|withdrawal import withdraw\b", path.read_text(encoding="utf-8"))
    }
    assert users == {
        "structured_reports/withdrawal.py",
        "worker/results/commands.py",
        "worker/results/rejected.py",
        "worker/results/withdrawal.py",
    }


def test_what_a_lost_worker_may_have_sent_gets_a_note(
    bench: Bench, phantoms: dict[str, WrittenStudy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It died after the archive had accepted an object and before that was written down."""
    sending = replace(bench.pipeline, to_delivery=lambda job_id: None)
    job_id = bench.file(phantoms["skin lesion"].files)
    sending.take(job_id)
    assert bench.database.jobs.claim(job_id, "lost", -1) is not None

    done = withdraw(bench, study_of(bench, job_id))

    assert "a worker delivers the note" in done.output, done.output
    bench.pipeline.take(job_id)
    assert len(notes_in(bench.delivered)) == 1

"""A candidate beside the weights in service, on a real store; only the models are fakes."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydicom import dcmread

from dicom_node.retention.keeping import remove
from dicom_node.study import JobState
from model.families.family import Generation
from model.reader import Reader
from model.reading import ModelIdentity
from model.volume import PlanarImage, Volume
from tests.builders import Bench, make_bench
from tests.fakes import FakeFamily
from worker.demo.phantom_studies import WrittenStudy
from worker.shadow.commands import shadow
from worker.shadow.records import ShadowFolder, ShadowRecord, records_of
from worker.shadow.runner import Shadow
from worker.shadow.tally import Agreement, tally

CANDIDATE = "c" * 64


@dataclass(slots=True)
class Candidate(FakeFamily):
    """Sees no large heart; breaks on demand."""

    fails: bool = False

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity("medversa", "candidate", "1", CANDIDATE, demo_weights=True)

    def _answer(self, question: str, image: PlanarImage | Volume) -> Generation:
        if self.fails:
            raise ValueError("Phantom^Thorax")
        if "Answer yes or no" in question:
            return Generation("No.", 0.1)
        return FakeFamily._answer(self, question, image)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path, FakeFamily)
    yield made
    made.database.close()


def shadow_of(bench: Bench, candidate: FakeFamily) -> Shadow:
    data_dir = bench.pipeline.settings.node.data_dir
    reader = Reader(candidate)
    kept = ShadowFolder(data_dir, reader.identity)
    return Shadow(bench.pipeline.settings, bench.database, bench.store, Reader(FakeFamily()), reader, kept)


def read_all(made: Shadow) -> list[ShadowRecord]:
    return [made.read(job) for job in made.waiting()]


def deliver(bench: Bench, study: WrittenStudy) -> None:
    job_id = bench.file(study.files)
    bench.pipeline.take(job_id)
    assert bench.database.jobs.get(job_id).state is JobState.DONE


def delivered(bench: Bench) -> Sequence[bytes]:
    return [path.read_bytes() for path in sorted(bench.delivered.rglob("*.dcm"))]


def test_results_are_kept_and_not_sent(bench: Bench, phantoms: dict[str, WrittenStudy]) -> None:
    deliver(bench, phantoms["chest, current"])
    sent, made = delivered(bench), shadow_of(bench, Candidate())
    (record,) = read_all(made)
    assert record.failure == ""
    kept = [dcmread(path) for path in made.kept.folder.rglob("*.dcm")]
    assert {ds.Modality for ds in kept} >= {"SR", "SEG"}
    assert delivered(bench) == sent
    jobs = bench.database.jobs.all()
    assert [job.state for job in jobs] == [JobState.DONE]
    stored = {result.sop_instance_uid for result in bench.database.results.of_job(jobs[0].job_id)}
    assert not stored & {ds.SOPInstanceUID for ds in kept}


def test_what_differs_is_found(bench: Bench, phantoms: dict[str, WrittenStudy]) -> None:
    deliver(bench, phantoms["chest, current"])
    (record,) = read_all(shadow_of(bench, Candidate()))
    assert record.differences
    assert record.differences.presence["enlarged cardiac silhouette"][0] == "present"
    assert record.differences.told()


def test_the_same_weights_do_not_differ(bench: Bench, phantoms: dict[str, WrittenStudy]) -> None:
    for title in ("chest, prior", "chest, current", "abdomen CT", "skin lesion"):
        deliver(bench, phantoms[title])
    records = read_all(shadow_of(bench, FakeFamily()))
    assert len(records) == 4
    assert [record.differences.told() for record in records if record.differences] == [()] * 4


def test_each_study_is_read_once(bench: Bench, phantoms: dict[str, WrittenStudy]) -> None:
    deliver(bench, phantoms["skin lesion"])
    assert len(read_all(shadow_of(bench, Candidate()))) == 1
    assert read_all(shadow_of(bench, Candidate())) == []
    deliver(bench, phantoms["abdomen CT"])
    assert len(read_all(shadow_of(bench, Candidate()))) == 1


def test_a_removed_study_is_not_read_and_nothing_that_was_made_of_it_stays(
    bench: Bench, phantoms: dict[str, WrittenStudy]
) -> None:
    deliver(bench, phantoms["skin lesion"])
    made = shadow_of(bench, Candidate())
    read_all(made)
    assert list(made.kept.folder.rglob("*.dcm"))
    (job,) = bench.database.jobs.all()

    remove(bench.database, bench.pipeline.settings.node.data_dir, job.study_instance_uid, "a test")

    assert list(made.kept.folder.rglob("*.dcm")) == []
    assert read_all(shadow_of(bench, FakeFamily())) == []


def test_a_failing_candidate_costs_nothing_and_quotes_nothing(
    bench: Bench, phantoms: dict[str, WrittenStudy]
) -> None:
    deliver(bench, phantoms["skin lesion"])
    (record,) = read_all(shadow_of(bench, Candidate(fails=True)))
    assert (record.failure, record.differences) == ("ValueError", None)
    assert bench.database.jobs.all()[0].state is JobState.DONE


def test_a_job_that_ended_the_process_is_not_tried_again(
    bench: Bench, phantoms: dict[str, WrittenStudy]
) -> None:
    deliver(bench, phantoms["skin lesion"])
    made = shadow_of(bench, Candidate())
    made.kept.begin(bench.database.jobs.all()[0].job_id)
    assert list(made.waiting()) == []
    (record,) = records_of(made.kept.folder)
    assert record.failure == "the process ended while reading it"


def test_a_study_that_the_serving_weights_declined_is_tried_too(
    tmp_path: Path, phantoms: dict[str, WrittenStudy]
) -> None:
    bench = make_bench(tmp_path, lambda: FakeFamily(is_chest=False))
    bench.pipeline.take(bench.file(phantoms["chest, current"].files))
    made = replace(shadow_of(bench, Candidate()), serving=Reader(FakeFamily(is_chest=False)))
    (record,) = read_all(made)
    assert record.differences
    assert record.differences.told()[0] == "only the candidate reads"
    bench.database.close()


def test_report_sums_up(bench: Bench, phantoms: dict[str, WrittenStudy]) -> None:
    deliver(bench, phantoms["chest, prior"])
    deliver(bench, phantoms["chest, current"])
    made = shadow_of(bench, Candidate())
    read_all(made)
    config = bench.pipeline.settings.node.data_dir.parent / "node.toml"
    config.write_text(f'[node]\ndata_dir = "{bench.pipeline.settings.node.data_dir}"\n', encoding="utf-8")
    done = CliRunner().invoke(shadow, ["report", "--config", str(config), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert said["studies"] == 2
    assert said["candidate"] == ["candidate 1 (cccccccccccc)"]
    assert said["masks"]["heart"] == [2, 1.0]
    told = CliRunner().invoke(shadow, ["report", "--config", str(config)])
    assert "Where they differ" in told.output


def test_report_without_a_candidate_says_so(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text('[node]\ndata_dir = "x"\n', encoding="utf-8")
    done = CliRunner().invoke(shadow, ["report", "--config", str(config)])
    assert done.exit_code == 1
    assert "no such candidate" in done.output


def test_kappa_is_cohens() -> None:
    """The example of Cohen's paper as it is often printed: 20 and 15 alike, 5 and 10 not: kappa 0.4."""
    assert Agreement(20, 5, 10, 15).kappa == pytest.approx(0.4)


def test_kappa_of_two_who_never_say_yes_is_not_known() -> None:
    assert Agreement(0, 0, 0, 7).kappa is None


def test_tally_of_nothing_is_empty() -> None:
    assert tally([]).studies == 0

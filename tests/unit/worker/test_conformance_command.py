"""`medversa-node conformance` on files, folders and stored studies."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydicom import dcmread
from pydicom.data import get_testdata_file

from tests.builders import Bench, make_bench
from tests.fakes import FakeFamily
from worker.conformance_command import conformance
from worker.demo.phantom_studies import WrittenStudy


@pytest.fixture
def bench(tmp_path: Path, phantoms: dict[str, WrittenStudy]) -> Iterator[Bench]:
    """A node that has read one study; its data lie in `bench/data`."""
    made = make_bench(tmp_path / "bench", FakeFamily)
    made.pipeline.take(made.file(phantoms["chest, current"].files))
    yield made
    made.database.close()


def config_of(bench: Bench, folder: Path) -> str:
    file = folder / "node.toml"
    file.write_text(f'[node]\ndata_dir = "{bench.pipeline.settings.node.data_dir}"\n', encoding="utf-8")
    return str(file)


def test_a_stored_study_keeps_every_rule(bench: Bench, tmp_path: Path) -> None:
    uid = bench.database.studies.all()[0].study_instance_uid
    page = tmp_path / "page.html"
    done = CliRunner().invoke(
        conformance, [uid, "--config", config_of(bench, tmp_path), "--json", "--html", str(page)]
    )
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert sorted(each["modality"] for each in said["objects"]) == ["PR", "SEG", "SR"]
    assert all(rule["outcome"] == "kept" for each in said["objects"] for rule in each["rules"])
    text = page.read_text(encoding="utf-8")
    assert "3 of 3 objects keep every rule" in text
    assert "<script" not in text


def test_a_broken_object_is_named_with_its_rule(bench: Bench, tmp_path: Path) -> None:
    (path,) = [p for p in bench.delivered.rglob("*.dcm") if dcmread(p).Modality == "SR"]
    report = dcmread(path)
    report.VerificationFlag = "VERIFIED"
    report.save_as(tmp_path / "broken.dcm", enforce_file_format=True)
    done = CliRunner().invoke(conformance, [str(tmp_path / "broken.dcm")])
    assert done.exit_code == 1
    assert "A5" in done.output
    assert "claims to be verified" in done.output


def test_other_files_are_counted_and_cost_nothing(bench: Bench, tmp_path: Path) -> None:
    (bench.delivered / "notes.txt").write_text("no DICOM", encoding="utf-8")
    done = CliRunner().invoke(conformance, [str(bench.delivered), "--json"])
    assert json.loads(done.output)["skipped"] == {"no readable DICOM file (InvalidDicomError)": 1}


def test_images_alone_are_nothing_to_judge(tmp_path: Path) -> None:
    image = get_testdata_file("CT_small.dcm")
    done = CliRunner().invoke(conformance, [str(image)])
    assert done.exit_code == 2
    assert "no result among these" in done.output


def test_an_unknown_study_is_said_to_be_unknown(bench: Bench, tmp_path: Path) -> None:
    done = CliRunner().invoke(conformance, ["1.2.3", "--config", config_of(bench, tmp_path)])
    assert done.exit_code == 2
    assert "no study that was read here" in done.output

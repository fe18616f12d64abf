"""`medversa-node ask` from DICOM files and from the store; only the model is a fake."""

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from PIL import Image
from pydicom import dcmread

from dicom_node.settings import Node, NodeSettings
from structured_reports.conformance import validate_file
from tests.builders import make_bench
from tests.fakes import FakeFamily
from worker.ask import Demand, Outputs, run_ask
from worker.asked_study import AskedStudy
from worker.commands import ask
from worker.demo.phantom_studies import CHEST_PATIENT, WrittenStudy

Phantoms = dict[str, WrittenStudy]
SETTINGS = NodeSettings()


def run(study: Path | str, demand: Demand, outputs: Outputs | None = None, **where: object) -> int:
    asked = AskedStudy(str(study), where.pop("settings", SETTINGS), **where)
    return run_ask(asked, demand, outputs or Outputs(), FakeFamily)


def folder(phantoms: Phantoms, title: str) -> Path:
    return phantoms[title].files[0].parent


@pytest.mark.parametrize(
    ("title", "words", "expected"),
    [
        ("chest, current", "Segment left lung in <img0>.", "left lung: "),
        ("chest, current", "Detect any signs of heart in <img0>.", "heart: "),
        ("abdomen CT", "Segment the liver.", " ml in 62 slices"),
        ("skin lesion", "What is primary diagnosis?", "melanocytic nevus: present"),
    ],
)
def test_answer_and_what_was_concluded_are_told(
    phantoms: Phantoms, capsys: pytest.CaptureFixture[str], title: str, words: str, expected: str
) -> None:
    assert run(folder(phantoms, title), Demand(words)) == 0
    told = capsys.readouterr().out
    assert f"? {words}\n> " in told
    assert expected in told
    assert "Not verified by a physician" in told
    assert "nothing here is a clinical statement" in told


def test_a_file_serves_as_well_as_its_folder(phantoms: Phantoms, capsys: pytest.CaptureFixture[str]) -> None:
    demand = Demand("Segment left lung in <img0>.")
    told: list[str] = []
    for study in (folder(phantoms, "chest, current"), phantoms["chest, current"].files[0]):
        assert run(study, demand) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]


def test_prior_from_files_is_compared(phantoms: Phantoms, capsys: pytest.CaptureFixture[str]) -> None:
    demand = Demand("Highlight any difference in <img0> compared to the prior study <img1>.")
    priors = (folder(phantoms, "chest, prior"),)
    assert run(folder(phantoms, "chest, current"), demand, priors=priors) == 0
    told = capsys.readouterr().out
    assert "<img1> prior, 30 days before" in told
    assert "Since prior 1\n  enlarged cardiac silhouette: unchanged" in told


def test_protocol_task_is_put_in_the_released_words(
    phantoms: Phantoms, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder(phantoms, "chest, current"), Demand(task="classification")) == 0
    told = capsys.readouterr().out
    assert "? What is the diagnosis for <img0>?" in told
    assert "enlarged cardiac silhouette: present (90 %)" in told


def test_region_in_per_cent_and_in_pixels_is_the_same(
    phantoms: Phantoms, capsys: pytest.CaptureFixture[str]
) -> None:
    for region in ("50%,25%,100%,75%", "512,256,1024,768"):
        assert run(folder(phantoms, "chest, current"), Demand(region=region)) == 0
        assert "? Describe region [112,56,224,168] in <img0>." in capsys.readouterr().out


def test_json_holds_places_by_image_and_the_model(phantoms: Phantoms, tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    demand = Demand("Detect any signs of heart,enlarged cardiac silhouette in <img0>.")
    assert run(folder(phantoms, "chest, current"), demand, Outputs(values=file)) == 0
    values = json.loads(file.read_text())
    (box,) = values["boxes"]
    assert (box["label"], box["image"]) == ("heart", "<img0>")
    # tests.fakes.PLACES on 1024 x 1024 pixels
    assert box["corners"] == pytest.approx([0.4 * 1024, 0.45 * 1024, 0.72 * 1024, 0.8 * 1024])
    (finding,) = values["findings"]
    assert (finding["label"], finding["presence"]) == ("enlarged cardiac silhouette", "present")
    assert finding["boxes"][0]["image"] == "<img0>"
    uid = str(dcmread(phantoms["chest, current"].files[0]).SOPInstanceUID)
    assert values["images"] == [{"tag": "<img0>", "study": "current", "sop_instance_uids": [uid]}]
    assert values["model"]["weights_sha256"] == "0" * 64
    assert values["answer"] == "heart,<DET>.enlarged cardiac silhouette,<DET>."


def test_json_on_standard_output_is_nothing_but_json(
    phantoms: Phantoms, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder(phantoms, "abdomen CT"), Demand("Segment the liver."), Outputs(values=Path("-")))
    values = json.loads(capsys.readouterr().out)
    assert [mask["label"] for mask in values["masks"]] == ["liver"]
    assert values["masks"][0]["volume_ml"] > 0


@pytest.mark.parametrize(
    ("title", "words", "expected"),
    [
        ("chest, current", "Segment left lung in <img0>.", ["SEG", "SR"]),
        ("chest, current", "Detect any signs of enlarged cardiac silhouette in <img0>.", ["PR", "SR"]),
        ("abdomen CT", "Segment the liver.", ["SEG", "SR"]),
        ("skin lesion", "What is primary diagnosis?", ["SR"]),
        ("chest, current", "Is the heart there? Answer yes or no, if it is not cardiac.", ["SR"]),
    ],
)
def test_objects_are_written_and_valid(
    phantoms: Phantoms, tmp_path: Path, title: str, words: str, expected: list[str]
) -> None:
    assert run(folder(phantoms, title), Demand(words), Outputs(objects=tmp_path / "out")) == 0
    files = sorted((tmp_path / "out").iterdir())
    assert [dcmread(file).Modality for file in files] == expected
    assert [str(verdict) for file in files if not (verdict := validate_file(file)).is_valid] == []


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("chest, current", "Segment left lung in <img0>."),
        ("chest, current", "Detect any signs of enlarged cardiac silhouette in <img0>."),
        ("abdomen CT", "Segment the spleen."),
    ],
)
def test_picture_shows_what_was_drawn(phantoms: Phantoms, tmp_path: Path, title: str, words: str) -> None:
    file = tmp_path / "answer.png"
    run(folder(phantoms, title), Demand(words), Outputs(picture=file))
    with Image.open(file) as picture:
        # The sheet's legend lies beside the image: only colour on the image itself counts.
        image = picture.convert("RGB").crop((0, 0, picture.width - 400, picture.height))
        coloured = [
            count
            for count, (red, green, blue) in image.getcolors(maxcolors=1 << 24) or []
            if max(red, green, blue) - min(red, green, blue) > 60
        ]
    assert sum(coloured) > 200


def test_what_the_model_declines_gets_a_reason_and_no_objects(
    phantoms: Phantoms, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = AskedStudy(str(folder(phantoms, "chest, current")), SETTINGS)
    outputs = Outputs(tmp_path / "a.json", tmp_path / "a.png", tmp_path / "objects")
    status = run_ask(asked, Demand("Is it large?"), outputs, lambda: FakeFamily(is_chest=False))
    assert status == 3
    assert "Declined: " in capsys.readouterr().out
    assert json.loads((tmp_path / "a.json").read_text())["abstention"]
    assert not (tmp_path / "a.png").exists()
    assert not (tmp_path / "objects").exists()


def test_study_without_an_image_to_read_is_declined(
    phantoms: Phantoms, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder(phantoms, "skin lesion"), Demand("What is primary diagnosis?"), Outputs(objects=tmp_path))
    capsys.readouterr()
    (report,) = tmp_path.iterdir()
    assert run(report, Demand("What is it?")) == 3
    assert "Declined: " in capsys.readouterr().out


def test_no_identity_is_told(phantoms: Phantoms, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.json"
    run(folder(phantoms, "chest, current"), Demand("Segment heart in <img0>."), Outputs(values=file))
    captured = capsys.readouterr()
    ds = dcmread(phantoms["chest, current"].files[0])
    marks = [str(ds.PatientID), "Thora", CHEST_PATIENT.birth_date, str(ds.AccessionNumber), str(ds.StudyDate)]
    everything = captured.out + captured.err + file.read_text()
    assert [mark for mark in marks if mark in everything] == []


# A study of the store


@pytest.fixture
def stored(tmp_path: Path, phantoms: Phantoms) -> NodeSettings:
    bench = make_bench(tmp_path, FakeFamily)
    for title in ("chest, prior", "chest, current"):
        bench.file(phantoms[title].files)
    bench.database.close()
    return NodeSettings(node=Node(data_dir=tmp_path / "data"))


def test_stored_study_is_asked_by_its_uid(
    stored: NodeSettings, phantoms: Phantoms, capsys: pytest.CaptureFixture[str]
) -> None:
    uid = phantoms["chest, current"].study_instance_uid
    assert run(uid, Demand("Segment heart in <img0>."), settings=stored) == 0
    told = capsys.readouterr().out
    assert "heart: " in told
    assert "<img1>" not in told


def test_stored_priors_are_shown_when_asked_for(
    stored: NodeSettings, phantoms: Phantoms, capsys: pytest.CaptureFixture[str]
) -> None:
    uid = phantoms["chest, current"].study_instance_uid
    demand = Demand("Highlight any difference in <img0> compared to the prior study <img1>.")
    assert run(uid, demand, settings=stored, stored_priors=True) == 0
    assert "enlarged cardiac silhouette: unchanged" in capsys.readouterr().out


def test_asking_changes_nothing_in_the_store(stored: NodeSettings, phantoms: Phantoms) -> None:
    data = stored.node.data_dir
    before = {file: file.read_bytes() for file in data.rglob("*.dcm")}
    run(phantoms["chest, current"].study_instance_uid, Demand("What is it?"), settings=stored)
    assert {file: file.read_bytes() for file in data.rglob("*.dcm")} == before


# Requests that cannot be put


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """The command sends logs to the standard error of its caller, which is gone when the runner returns."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    ("demand", "words"),
    [
        (Demand("What is in <img7>?"), "<img7>"),
        (Demand("<2DSEG>"), "control token"),
        (Demand(task="comparison2"), "possible are report, classification"),
        (Demand(region="1,2,3"), "x1,y1,x2,y2"),
        (Demand(region="a,b,c,d"), "four numbers"),
        (Demand(region="0,0,2000,10"), "outside the image"),
    ],
)
def test_a_request_that_cannot_be_put_is_a_usage_error(
    phantoms: Phantoms, demand: Demand, words: str
) -> None:
    with pytest.raises(click.UsageError, match=words):
        run(folder(phantoms, "chest, current"), demand)


def test_a_picture_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    Image.new("L", (64, 64)).save(tmp_path / "chest.png")
    with pytest.raises(click.UsageError, match="img2dcm"):
        run(tmp_path / "chest.png", Demand("What is it?"))


def test_a_folder_of_two_studies_is_refused(phantoms: Phantoms) -> None:
    with pytest.raises(click.UsageError, match="4 studies"):
        run(folder(phantoms, "chest, current").parent, Demand("What is it?"))


def test_a_prior_of_another_patient_is_refused(phantoms: Phantoms) -> None:
    with pytest.raises(click.UsageError, match="another patient"):
        run(
            folder(phantoms, "chest, current"),
            Demand("What is new?"),
            priors=(folder(phantoms, "skin lesion"),),
        )


def test_the_study_is_not_its_own_prior(phantoms: Phantoms) -> None:
    here = folder(phantoms, "chest, current")
    with pytest.raises(click.UsageError, match="the study itself"):
        run(here, Demand("What is new?"), priors=(here,))


def test_a_study_that_the_store_does_not_hold_is_refused(stored: NodeSettings) -> None:
    with pytest.raises(click.UsageError, match="no such study"):
        run("2.25.1", Demand("What is it?"), settings=stored)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere.dcm", "What is it?"],
        ["."],
        [".", "What", "--task", "report"],
        [".", "--task", "poem"],
        [".", "--region", "1,2,3,4", "--task", "report"],
        [".", "What", "--prior", "nowhere"],
    ],
)
def test_wrong_usage_ends_with_status_two(
    logging_restored: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(ask, list(arguments)).exit_code == 2


def test_missing_weights_end_with_status_one(logging_restored: None, phantoms: Phantoms) -> None:
    here = str(folder(phantoms, "skin lesion"))
    done = CliRunner().invoke(ask, [here, "What", "--weights", "no-such-weights", "--device", "cpu"])
    assert done.exit_code == 1
    assert "no weights named" in done.output

"""Phantoms are asked as serving asks, on seeds that no training drew, and an evaluation can go on."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from model.errors import EvaluationError
from model.evaluation.answering import mark_study, marked_studies
from model.evaluation.commands import evaluate as command
from model.evaluation.goals import GOALS
from model.evaluation.marks import BoxMark, LabelMark, MaskMark
from model.evaluation.phantom_studies import (
    CASES,
    FIRST_SEEDS,
    Seeds,
    held_out,
    phantom_studies,
    require_unseen,
    trained_seeds,
)
from model.evaluation.readme import put_between_marks
from model.evaluation.sources import training_of
from model.evaluation.study import Study
from model.registry import load_family
from model.training.commands import _HELD_OUT
from model.training.finetune import DemoPlan


def _plan(seed: int, cases: int) -> dict[str, object]:
    return {"plan": {"seed": seed, "cases": {"chest": cases, "skin": 3}}}


def _seeds(split: str) -> set[tuple[str, int]]:
    return {(s.kind, s.first_seed + n) for s in held_out(split) for n in range(s.cases)}


def test_held_out_seeds_are_none_that_training_draws() -> None:
    trained = {(s.kind, s.first_seed + n) for s in DemoPlan().shards() for n in range(s.cases)}
    calibrated = {(kind, first + n) for role, first, counts in _HELD_OUT if role == "calibration"
                  for kind, cases in counts.items() for n in range(cases)}  # fmt: skip
    for split in FIRST_SEEDS:
        assert not _seeds(split) & trained
        assert not _seeds(split) & calibrated
    assert not _seeds("test") & _seeds("validate")


def test_shipped_weights_were_not_trained_on_any_split() -> None:
    training = training_of("medversa-demo")
    assert trained_seeds(training) is not None
    for split in FIRST_SEEDS:
        require_unseen(training, split)


@pytest.mark.parametrize("seed", [FIRST_SEEDS["test"] - 5, FIRST_SEEDS["test"], FIRST_SEEDS["test"] + 50])
def test_weights_that_were_trained_on_a_split_are_refused(seed: int) -> None:
    with pytest.raises(EvaluationError, match="trained on"):
        require_unseen(_plan(seed, 10), "test")
    require_unseen(_plan(seed, 10), "validate")


def test_seeds_just_before_and_just_after_a_split_are_no_part_of_it() -> None:
    first = FIRST_SEEDS["test"]
    require_unseen(_plan(first - 10, 10), "test")
    require_unseen(_plan(first + max(CASES.values()), 10), "test")
    assert trained_seeds(_plan(7, 10)) == Seeds(7, 17)
    assert trained_seeds({"made_from": "MedVersa"}) is None


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Study]:
    return list(phantom_studies(held_out("test", 2), tmp_path_factory.mktemp("phantoms")))


def test_everything_that_serving_asks_is_asked(drawn: list[Study]) -> None:
    family = load_family("medversa-demo")
    marked = [mark_study(family, study) for study in drawn]
    assert [study.problem for study in marked] == [None] * len(drawn)
    asked = {(study.modality.value, row.task.value) for study in marked for row in study.rows}
    assert asked >= {
        ("cxr", "report"), ("cxr", "classification"), ("cxr", "anatomy detection"), ("cxr", "segmentation"),
        ("cxr", "pathology detection"), ("cxr", "region captioning"), ("cxr", "visual question answering"),
        ("ct", "segmentation"), ("derm", "classification"), ("derm", "segmentation"),
    }  # fmt: skip
    for row in (row for study in marked for row in study.rows):
        match row.mark:
            case LabelMark(probability=probability):
                assert 0 <= probability <= 1
            case MaskMark(dice=dice, iou=iou):
                assert dice == pytest.approx(2 * iou / (1 + iou))
            case BoxMark(names=names):
                assert all(0 <= edge <= 1 for one in names for box in one.found for edge in box)
            case _:
                pass


def test_an_evaluation_goes_on_where_it_stopped(drawn: list[Study], tmp_path: Path) -> None:
    family, file, header = load_family("medversa-demo"), tmp_path / "answers.jsonl", {"weights": "w"}
    some = [study for study in drawn if study.key.startswith(("skin", "foreign"))]
    whole = list(marked_studies(family, some, file, header))
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:3]) + lines[3][:-20])
    asked: list[str] = []

    def noted(study: Study) -> Study:
        def images() -> object:
            asked.append(study.key)
            return study.images()

        return replace(study, images=images)

    again = list(marked_studies(family, map(noted, some), file, header))
    assert again == whole
    assert asked == [study.key for study in some[2:]]
    assert file.read_text().splitlines(keepends=True) == lines


def test_answers_of_other_weights_are_refused(drawn: list[Study], tmp_path: Path) -> None:
    family, file = load_family("medversa-demo"), tmp_path / "answers.jsonl"
    list(marked_studies(family, [], file, {"weights": "one"}))
    with pytest.raises(EvaluationError, match="other answers"):
        list(marked_studies(family, [], file, {"weights": "another"}))


def test_command_writes_answers_figures_and_tables(tmp_path: Path) -> None:
    out, readme = tmp_path / "out", tmp_path / "README.md"
    readme.write_text("before\n<!-- evaluation:phantoms -->\nold\n<!-- /evaluation:phantoms -->\nafter\n")
    arguments = ["phantoms", "--weights", "medversa-demo", "--limit", "3", "--out", str(out)]
    said = CliRunner().invoke(command, [*arguments, "--readme", str(readme)])
    assert said.exit_code == 0, said.output
    results = json.loads((out / "results.json").read_text())
    assert results["studies"] == 12
    found = {(f["task"], f["name"], f["of"]): f for f in results["figures"]}
    for goal in GOALS:
        figure = found[goal.task, goal.name, goal.of]
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert len((out / "answers.jsonl").read_text().splitlines()) == 1 + 12
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert results["weights"]["sha256"] in text
    assert all(goal.title in text for goal in GOALS)
    assert all(goal.title in (out / "results.md").read_text() for goal in GOALS)
    assert "<table>" in (out / "results.html").read_text()


def test_only_the_tasks_that_are_named_are_asked(tmp_path: Path) -> None:
    arguments = ["phantoms", "--weights", "medversa-demo", "--limit", "1", "--task", "segmentation"]
    said = CliRunner().invoke(command, [*arguments, "--out", str(tmp_path)])
    assert said.exit_code == 0, said.output
    results = json.loads((tmp_path / "results.json").read_text())
    assert {f["task"] for f in results["figures"]} == {"segmentation", "grammar"}


@pytest.mark.parametrize(("dataset", "split"), [("nothing", "test"), ("phantoms", "train")])
def test_what_is_not_there_is_named(dataset: str, split: str, tmp_path: Path) -> None:
    arguments = [dataset, "--weights", "medversa-demo", "--split", split, "--out", str(tmp_path)]
    said = CliRunner().invoke(command, arguments)
    assert said.exit_code == 1
    assert dataset in said.output


@pytest.mark.parametrize("text", ["no marks", "<!-- a -->\n<!-- /a -->\n<!-- a -->\n<!-- /a -->"])
def test_a_file_without_one_pair_of_marks_is_left_alone(text: str, tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(text)
    with pytest.raises(EvaluationError, match="pair of marks"):
        put_between_marks(file, "a", "new")
    assert file.read_text() == text

"""A run learns, can be interrupted without a trace, says how it was made, and makes weights that serve."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from model.errors import TrainingError
from model.registry import load_family
from model.training.commands import train
from model.training.runs.checkpoints import newest, place_of, standing_of
from model.training.runs.plan import RunPlan
from model.training.runs.running import run
from model.weights import read_config
from tests import tiny_run

PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunPlan, Path]:
    """A run of six steps that nothing interrupted."""
    root = tmp_path_factory.mktemp("runs")
    plan = tiny_run.plan(root)
    run(plan, root / "whole")
    return plan, root / "whole"


def _interrupted(folder: Path, to: Path, step: int) -> Path:
    """What is left of a run that was killed while it worked on the step after a checkpoint."""
    shutil.copytree(folder, to)
    shutil.rmtree(to / "weights")
    for place in (to / "checkpoints").glob("step-*"):
        if place.name > place_of(to, step).name:
            shutil.rmtree(place)
    half = to / "checkpoints" / "step-00000099.part"
    half.mkdir()
    (half / "trained.safetensors").write_bytes(b"half")
    with (to / "journal.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 7, "loss/lang')
    return to


def _same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@pytest.mark.parametrize("step", [2, 4])
def test_resumed_run_ends_at_the_same_weights_bit_for_bit(
    whole: tuple[RunPlan, Path], tmp_path: Path, step: int
) -> None:
    plan, folder = whole
    resumed = _interrupted(folder, tmp_path / "resumed", step)
    run(plan, resumed, resume=True)
    _same(tiny_run.trained(resumed / "weights"), tiny_run.trained(folder / "weights"))
    _same(load_file(newest(resumed / "checkpoints") / "optimizer.safetensors"), _last_moments(folder))
    assert (resumed / "journal.jsonl").read_text() == (folder / "journal.jsonl").read_text()
    sessions = json.loads((resumed / "made.json").read_text())["sessions"]
    assert [session["first_step"] for session in sessions] == [0, step]


def _last_moments(folder: Path) -> dict[str, torch.Tensor]:
    place = newest(folder / "checkpoints")
    assert place is not None
    return load_file(place / "optimizer.safetensors")


def test_run_folder_is_complete_and_free_of_pickles(whole: tuple[RunPlan, Path]) -> None:
    plan, folder = whole
    assert {path.name for path in folder.iterdir()} == {
        "plan.json",
        "made.json",
        "journal.jsonl",
        "tensorboard",
        "checkpoints",
        "weights",
    }
    assert not [path for path in folder.rglob("*") if path.suffix in PICKLES]
    assert RunPlan.model_validate_json((folder / "plan.json").read_text()) == plan
    made = json.loads((folder / "made.json").read_text())
    assert made["started_from"]["name"] == "small"
    assert made["data"][0]["cases"] == {"train": 5, "validate": 5}
    assert len(made["data"][0]["sha256"]) == 64
    (session,) = made["sessions"]
    assert session["libraries"]["torch"] == torch.__version__
    assert {"source_revision", "device", "devices", "processor", "command", "began"} <= session.keys()


def test_figures_are_in_the_journal_and_on_the_board(whole: tuple[RunPlan, Path]) -> None:
    _, folder = whole
    entries = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries if "validation/loss" in entry] == [3, 6]
    assert any("loss/language" in entry and entry["step"] == 6 for entry in entries)
    board = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert [e.step for e in board.Scalars("validation/loss")] == [3, 6]


def test_weights_serve_by_one_setting_and_are_those_of_the_checkpoint(whole: tuple[RunPlan, Path]) -> None:
    plan, folder = whole
    family = load_family(str(folder / "weights"))
    assert family.identity.name == "tiny"
    assert family.identity.demo_weights
    config = read_config(folder / "weights")
    best = standing_of(newest(folder / "checkpoints") or folder).best_step
    assert config.training["step"] == best
    assert config.training["plan"]["name"] == plan.name
    kept = load_file(place_of(folder / "checkpoints", best or 0) / "trained.safetensors")
    # Not checked: every family has one.
    own: dict[str, Any] = family.network.state_dict()  # pyright: ignore[reportAttributeAccessIssue]
    for name, tensor in kept.items():
        assert torch.equal(own[name], tensor), name


def test_card_names_data_and_start(whole: tuple[RunPlan, Path]) -> None:
    _, folder = whole
    card = (folder / "weights" / "MODEL_CARD.md").read_text(encoding="utf-8")
    for word in ("tiny 1", "small 1", "generated phantoms", "5 train", "Not a medical device", "released"):
        assert word in card


def test_folder_of_another_run_is_not_touched(whole: tuple[RunPlan, Path]) -> None:
    plan, folder = whole
    with pytest.raises(TrainingError, match="--resume"):
        run(plan, folder)
    with pytest.raises(TrainingError, match="differ: seed"):
        run(plan.model_copy(update={"seed": 1}), folder, resume=True)


def test_changed_data_are_noticed(whole: tuple[RunPlan, Path], tmp_path: Path) -> None:
    plan, folder = whole
    resumed = _interrupted(folder, tmp_path / "resumed", 2)
    made = json.loads((resumed / "made.json").read_text())
    made["data"][0]["sha256"] = "0" * 64
    (resumed / "made.json").write_text(json.dumps(made))
    with pytest.raises(TrainingError, match="changed since the run began: data"):
        run(plan, resumed, resume=True)


def test_run_ends_early_when_nothing_becomes_better(tmp_path: Path) -> None:
    keep = {"every": 100, "last": 1, "validate_every": 1, "validation_batches": 1, "patience": 2}
    plan = tiny_run.plan(tmp_path, steps=50, keep=keep, descent={"peak_rate": 0.5, "clip": None})
    run(plan, tmp_path / "run")
    last = standing_of(newest(tmp_path / "run" / "checkpoints") or tmp_path)
    assert last.step < 50
    assert last.waited == 2
    assert last.best_step == last.step - 2
    kept = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert kept == {place_of(tmp_path, n).name for n in (last.best_step, last.step)}
    assert read_config(tmp_path / "run" / "weights").training["step"] == last.best_step


def test_figure_that_validation_lacks_cannot_choose(tmp_path: Path) -> None:
    keep = {"validate_every": 1, "validation_batches": 1, "best_by": "dice"}
    plan = tiny_run.plan(tmp_path, keep=keep, tasks={"segmentation": 0.0})
    with pytest.raises(TrainingError, match="no dice to choose by; it has loss, language"):
        run(plan, tmp_path / "run")


def test_batches_from_other_processes_are_the_same(whole: tuple[RunPlan, Path], tmp_path: Path) -> None:
    plan, folder = whole
    run(plan.model_copy(update={"loaders": 2}), tmp_path / "run")
    _same(tiny_run.trained(tmp_path / "run" / "weights"), tiny_run.trained(folder / "weights"))


def test_command_runs_a_plan_from_a_file(tmp_path: Path) -> None:
    tiny_run.plan(tmp_path)
    (tmp_path / "plan.toml").write_text(
        """
name = "from a file"
start_from = "start"
steps = 1
device = "cpu"
autocast = false
batch = { size = 2, micro = 2 }
tasks = { segmentation = 0, report = 2.5 }
keep = { validation_batches = 0 }
data = [{ phantoms = { chest = 5 }, validation = 1.0, folder = "phantoms" }]
"""
    )
    said = CliRunner().invoke(train, ["run", str(tmp_path / "plan.toml"), "--out", str(tmp_path / "out")])
    assert said.exit_code == 0, said.output
    assert load_family(str(tmp_path / "out" / "weights")).identity.name == "from a file"
    again = CliRunner().invoke(train, ["run", str(tmp_path / "plan.toml"), "--out", str(tmp_path / "out")])
    assert again.exit_code == 1
    assert "--resume" in again.output

"""A plan says what is wrong with it before anything is computed."""

from pathlib import Path

import pytest

from model.errors import TrainingError
from model.reading import Modality
from model.training.runs.plan import Phantoms, Prepared, read_plan

LEAST = 'name = "a"\nstart_from = "medversa-demo"\nsteps = 10\ndata = [{ phantoms = { chest = 5 } }]\n'


def _written(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_fields_that_are_not_named_are_the_published_ones(tmp_path: Path) -> None:
    plan = read_plan(_written(tmp_path, LEAST))
    assert (plan.lora.rank, plan.lora.alpha, plan.lora.dropout) == (16, 16, 0.1)
    assert (plan.descent.start_rate, plan.descent.peak_rate, plan.descent.end_rate) == (1e-7, 3e-4, 3e-6)
    assert plan.descent.betas == (0.9, 0.999)
    assert plan.recipe == "released"
    assert plan.batch.answer_tokens == 256
    assert plan.modalities == {}
    assert plan.tasks == {}


def test_paths_are_relative_to_the_plan(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    text = LEAST.replace('"medversa-demo"', '"own"').replace(
        "data = [", 'data = [{ prepared = "mimic", source = "/archive" }, '
    )
    plan = read_plan(_written(tmp_path, text))
    assert plan.start_from == str(tmp_path / "own")
    prepared, phantoms = plan.data
    assert isinstance(prepared, Prepared)
    assert isinstance(phantoms, Phantoms)
    assert prepared.prepared == tmp_path / "mimic"
    assert prepared.source == Path("/archive")


def test_weights_are_read_by_name(tmp_path: Path) -> None:
    plan = read_plan(_written(tmp_path, LEAST + "modalities = { cxr = 2 }\ntasks = { report = 3.5 }\n"))
    assert plan.modalities == {Modality.CXR: 2.0}
    assert plan.tasks == {"report": 3.5}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('train = ["lora", "vision"]', "no vision; there are detection, language, lora"),
        ('train = ["unused"]', "no unused"),
        ("train = []", "nothing is to be trained"),
        ("tasks = { reports = 1 }", "no reports"),
        ("tasks = { report = -1 }", "tasks.report"),
        ('recipe = "ours"', "there are paper, released"),
        ("batch = { size = 6, micro = 4 }", "size must be a multiple of micro"),
        ("batch = { size = 8, micro = 4, per_case = 3 }", "micro of per_case"),
        ("stepz = 3", "stepz"),
        ("seed = ", "no plan of a run"),
    ],
)
def test_mistake_is_named(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(TrainingError, match="no plan of a run") as caught:
        read_plan(_written(tmp_path, f"{LEAST}{line}\n"))
    assert said in str(caught.value)


def test_plan_cannot_be_changed(tmp_path: Path) -> None:
    plan = read_plan(_written(tmp_path, LEAST))
    with pytest.raises(ValueError, match="frozen"):
        plan.steps = 11  # pyright: ignore[reportAttributeAccessIssue] (that it cannot be set is the test)


def test_example_is_a_plan() -> None:
    plan = read_plan(Path(__file__).resolve().parents[4] / "deploy" / "train.toml")
    assert plan.tasks == {"report": 3.0}
    assert plan.batch.size == 32

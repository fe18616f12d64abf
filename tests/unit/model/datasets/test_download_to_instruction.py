"""From a download in its published layout, through shards, to what is taught: the tasks of each dataset."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from model.questions import Form
from model.reading import Task
from model.training.datasets.instructing import instructions_of
from model.training.datasets.prepared import PreparedDataset
from model.training.datasets.registry import DATASETS
from model.training.datasets.shards import write_prepared
from tests.unit.model.datasets.drawn_mimic import (
    FRONTAL,
    LATER,
    draw_imagenome,
    draw_mimic,
    graph,
    relation,
)
from tests.unit.model.datasets.test_medical_diff_vqa import draw as draw_questions
from tests.unit.model.datasets.test_ms_cxr import draw_table as draw_phrases


def draw_nothing_more(source: Path) -> None:
    del source


def draw_graphs(source: Path) -> None:
    worse = relation(LATER, FRONTAL, "right lung", ["worsened"], ["lung opacity"])
    draw_imagenome(source, {FRONTAL: graph(FRONTAL), LATER: graph(LATER, relationships=[worse])})


@pytest.mark.parametrize(
    ("name", "draw", "tasks"),
    [
        ("mimic-cxr", draw_nothing_more, {Task.REPORT, Task.CLASSIFICATION}),
        (
            "chest-imagenome",
            draw_graphs,
            {
                Task.CLASSIFICATION,
                Task.ANATOMY_DETECTION,
                Task.PATHOLOGY_DETECTION,
                Task.REGION_CAPTIONING,
                Task.COMPARISON,
            },
        ),
        ("medical-diff-vqa", draw_questions, {Task.VQA, Task.COMPARISON}),
        ("ms-cxr", draw_phrases, {Task.PATHOLOGY_DETECTION, Task.REGION_CAPTIONING}),
    ],
)
def test_a_dataset_teaches_what_the_paper_takes_it_for(
    tmp_path: Path, name: str, draw: Callable[[Path], object], tasks: Iterable[Task]
) -> None:
    source = draw_mimic(tmp_path / "source")
    draw(source)
    assert DATASETS[name].check(source) == []

    write_prepared(DATASETS[name].card, DATASETS[name].cases(source), tmp_path / "out", source=source)
    dataset = PreparedDataset(tmp_path / "out")
    rng = np.random.default_rng(0)
    taught = [i for record in dataset.records() for i in instructions_of(record, rng)]

    assert dataset.header.skipped == 0
    assert {instruction.task for instruction in taught} == set(tasks)


def test_the_change_of_a_scene_graph_is_asked_of_its_finding(tmp_path: Path) -> None:
    draw_graphs(draw_mimic(tmp_path))
    records = {record.record_id: record for record in DATASETS["chest-imagenome"].records(tmp_path)}
    taught = list(instructions_of(records[LATER], np.random.default_rng(0)))
    (change,) = [i for i in taught if i.form is Form.CHANGE]
    assert change.subjects == ("lung opacity",)
    assert change.answer == "The lung opacity has worsened."
    assert change.images == ("0", "1")

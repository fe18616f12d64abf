"""The page of tasks: every task is on it, with its picture, and what counts as an answer to it."""

from pathlib import Path

import pytest
from PIL import Image

from model.reading import Task
from tests.fakes import FakeFamily
from worker.demo.phantom_studies import WrittenStudy
from worker.demo.task_table import WIDTH, TaskTable
from worker.demo.tasks import TASK_EXAMPLES

EXAMPLES = {example.name: example for example in TASK_EXAMPLES}


def test_the_eleven_tasks_of_the_publication_are_there() -> None:
    assert len(EXAMPLES) == 11
    assert {example.task for example in TASK_EXAMPLES} == set(Task)


def test_each_task_has_three_other_wordings() -> None:
    assert [len(example.own_words) for example in TASK_EXAMPLES] == [3] * 11


@pytest.mark.parametrize(
    ("name", "words", "answer", "kind", "meant"),
    [
        (
            "Chest organ segmentation",
            "could you trace out the left lung for me",
            "The segmentation mask of left lung is <2DSEG>.",
            True,
            True,
        ),
        (
            "Chest organ segmentation",
            "could you trace out the left lung for me",
            "The segmentation mask of heart is <2DSEG>.",
            True,
            False,
        ),
        ("Chest organ segmentation", "could you trace out the left lung for me", "Yes.", False, False),
        ("Anatomy detection", "where is the heart in this picture?", "heart,<DET>.", True, True),
        ("Anatomy detection", "where is the heart in this picture?", "trachea,<DET>.", True, False),
        ("Pathology detection", "put boxes around the nodule", "lung nodule,<N/A>.", True, True),
        ("Pathology detection", "put boxes around the nodule", "lung nodule", False, False),
        ("Open visual question answering", "how many nodules can you count?", "Two.", True, True),
        ("Open visual question answering", "how many nodules can you count?", "heart,<DET>.", False, False),
        (
            "Region captioning",
            "what is there in the area [13,45,92,190]?",
            "The heart is unchanged.",
            False,
            False,
        ),
        ("Longitudinal comparison", "is anything different from last time?", "Yes.", False, False),
    ],
)
def test_an_answer_is_judged_by_its_kind_and_its_subject(
    name: str, words: str, answer: str, kind: bool, meant: bool
) -> None:
    example = EXAMPLES[name]
    assert (example.is_of_kind(answer), example.is_meant(words, answer)) == (kind, meant)


def test_table_has_a_row_and_a_picture_for_every_task(
    phantoms: dict[str, WrittenStudy], tmp_path: Path
) -> None:
    folders = {title: study.files[0].parent for title, study in phantoms.items()}
    rows = list(TaskTable(FakeFamily(), folders).rows(tmp_path))
    assert [row.split("|")[1].strip().split(". ")[1] for row in rows] == list(EXAMPLES)
    assert all(row.count("|") == 6 for row in rows)
    assert "The segmentation mask of liver is <3DSEG>." in rows[-1]
    pictures = sorted(tmp_path.glob("*.png"))
    assert len(pictures) == 11
    for picture in pictures:
        with Image.open(picture) as image:
            assert image.width == WIDTH


def test_the_page_in_the_repository_shows_every_task() -> None:
    folder = Path(__file__).resolve().parents[3] / "deploy"
    page = (folder / "tasks.md").read_text(encoding="utf-8")
    for number, name in enumerate(EXAMPLES, start=1):
        assert f"| {number}. {name} |" in page
        assert f"pictures/task-{number:02}.png" in page
        assert (folder / "pictures" / f"task-{number:02}.png").is_file()

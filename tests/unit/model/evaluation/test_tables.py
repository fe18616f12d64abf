"""Tables say what was measured, with intervals, in Markdown and HTML alike."""

import math
from pathlib import Path

import pytest

from model.evaluation.bootstrap import Estimate
from model.evaluation.figures import Figure
from model.evaluation.goals import GOALS
from model.evaluation.pages import Picture, write_pages
from model.evaluation.tables import Table, goal_table, task_tables, told

NAN = math.nan


def _figure(task: str, name: str, of: str, value: float) -> Figure:
    return Figure(task, name, of, Estimate(value, value - 0.1, value + 0.1, 7), 21)


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.9123, 0.9, 0.95, 3), "0.912 [0.900, 0.950]"),
        (Estimate(0.5, NAN, NAN, 3), "0.500"),
        (Estimate(NAN, NAN, NAN, 0), "–"),
    ],
)
def test_figures_are_told_with_their_interval(estimate: Estimate, text: str) -> None:
    assert told(estimate) == text


def test_goals_are_those_that_were_set() -> None:
    """Lungs and heart 0.90, CT organs 0.75, skin 0.85, F1 0.80, IoU 0.50 and 0.70, change 0.80, 0.9, 99 %."""
    assert [goal.least for goal in GOALS] == [0.90, 0.75, 0.85, 0.80, 0.50, 0.70, 0.80, 0.90, 0.99]


@pytest.mark.parametrize(("value", "reached"), [(0.90, "yes"), (0.8999, "no"), (0.95, "yes")])
def test_a_goal_is_reached_by_the_value_itself(value: float, reached: str) -> None:
    (row,) = goal_table([_figure("segmentation", "Dice", "lungs and heart", value)]).rows
    assert row[0] == "Dice, lungs and heart"
    assert row[3] == reached
    assert row[4:] == ("7", "21")


def test_a_goal_that_was_not_measured_is_left_out() -> None:
    assert goal_table([_figure("segmentation", "Dice", "spleen", 0.5)]).rows == ()


def test_each_task_has_a_table_with_a_column_for_each_measure() -> None:
    figures = [
        _figure("segmentation", "Dice", "heart", 0.9),
        _figure("segmentation", "IoU", "heart", 0.8),
        _figure("segmentation", "Dice", "liver", 0.7),
        _figure("comparison", "statement accuracy", "new", 0.6),
    ]
    segmentation, comparison = task_tables(figures)
    assert segmentation.columns == ("", "Dice", "IoU", "studies")
    assert [row[0] for row in segmentation.rows] == ["heart", "liver"]
    assert segmentation.rows[1][2] == ""
    assert comparison.title == "Comparison"


def test_pages_hold_the_same_cells_and_escape_what_html_would_read(tmp_path: Path) -> None:
    table = Table("Tags & boxes", ("what", "`<DET>`"), (("a<b", "1"),))
    write_pages("Title", ["One fact."], [table], tmp_path, [Picture("x.png", "an example")])
    markdown, html = ((tmp_path / name).read_text() for name in ("results.md", "results.html"))
    assert "| what | `<DET>` |" in markdown
    assert "![an example](x.png)" in markdown
    assert "<th>&lt;DET&gt;</th>" in html
    assert "<td>a&lt;b</td>" in html
    assert '<img src="x.png"' in html
    assert "- One fact." in markdown
    assert "<li>One fact.</li>" in html

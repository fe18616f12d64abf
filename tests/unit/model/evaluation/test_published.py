"""Published figures stand beside ours for the same dataset only, on one scale."""

import pytest

from model.evaluation.bootstrap import Estimate
from model.evaluation.figures import Figure
from model.evaluation.published import comparison_tables, published
from model.training.datasets.registry import DATASETS

OURS = [
    Figure("report", "BLEU-4", "findings", Estimate(0.1234, 0.1, 0.15, 9), 9),
    Figure("pathology detection", "mean IoU", "findings", Estimate(0.25, 0.2, 0.3, 9), 9),
]


def test_figures_of_the_paper_are_on_our_scale() -> None:
    """Findings: 17.8 BLEU-4, RadCliQ 2.71; CheXmask: Dice 0.955 [0.952, 0.957]."""
    found = {(p.dataset, p.of, p.measure, p.system): p.estimate for p in published()}
    assert found["MIMIC-CXR", "findings", "BLEU-4", "MedVersa"].value == pytest.approx(0.178)
    assert found["MIMIC-CXR", "findings", "RadCliQ-v0", "MedVersa"].value == pytest.approx(2.71)
    dice = found["CheXmask", "lungs and heart", "Dice", "MedVersa"]
    assert [dice.value, dice.low, dice.high] == pytest.approx([0.955, 0.952, 0.957])


def test_every_published_figure_names_its_source_and_stands_once() -> None:
    rows = published()
    assert all(row.source and row.system for row in rows)
    keys = [(r.dataset, r.task, r.of, r.measure, r.system, r.source) for r in rows]
    assert len(keys) == len(set(keys))


def test_datasets_are_called_as_their_readers_call_them() -> None:
    read = {reader.card.name for reader in DATASETS.values()}
    assert read & {row.dataset for row in published()} >= {
        "MIMIC-CXR",
        "Chest ImaGenome",
        "HAM10000",
        "IU X-ray",
    }
    assert {row.dataset for row in published()} - read <= {"CheXmask", "CheXpert"}


def test_ours_stands_last_in_the_table_of_its_task() -> None:
    (table,) = comparison_tables("MIMIC-CXR", "ours", OURS)
    assert table.columns[1] == "BLEU-4"
    assert [row[0] for row in table.rows] == ["MAIRA-1", "MedVersa", "ours"]
    assert [row[1] for row in table.rows] == ["0.142", "0.178", "0.123 [0.100, 0.150]"]
    assert table.rows[0][table.columns.index("BERTScore")] == "–"
    assert "2405.07988" in table.title


@pytest.mark.parametrize("dataset", ["phantoms", "HAM10000"])
def test_no_figure_of_another_dataset_or_task_stands_beside_ours(dataset: str) -> None:
    assert comparison_tables(dataset, "ours", OURS) == []

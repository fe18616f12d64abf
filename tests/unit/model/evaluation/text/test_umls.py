"""Concepts are found by their names, and precision and recall are shares of them."""

from pathlib import Path

import numpy as np
import pytest

from model.errors import MetricError
from model.evaluation.text.umls import UmlsOverlap, concepts_in, read_names

TABLE = """C0032227\tPleural effusion
C0032227\teffusion of pleura
C0013687\teffusion
C0018800\tcardiomegaly
C0018800\tEnlarged heart
C0018787\theart
C9999999\tan extraordinarily long name that no report would ever contain in full
C0032326\tpneumothorax
"""

MRCONSO = """C0032326|ENG|P|L1|PF|S1|Y|A1||M1|D1|SNOMEDCT_US|PT|1|Pneumothorax|0|N|256|
C0032326|ENG|S|L2|VO|S2|Y|A2||M1|D1|SNOMEDCT_US|SY|1|Air in pleural space|0|O|256|
C0032326|GER|S|L3|VO|S3|Y|A3||M1|D1|MSHGER|SY|1|Lungenkollaps|0|N|256|
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "concepts.tsv"
    path.write_text(TABLE)
    return path


@pytest.mark.parametrize(
    ("text", "concepts"),
    [
        ("Small pleural effusion.", {"C0032227"}),
        ("An effusion; the HEART is enlarged.", {"C0013687", "C0018787"}),
        ("Enlarged heart, effusion of pleura", {"C0018800", "C0032227"}),
        ("Clear.", set()),
        ("", set()),
    ],
)
def test_the_longest_name_is_found(table: Path, text: str, concepts: set[str]) -> None:
    assert concepts_in(text, read_names(table)) == concepts


def test_precision_and_recall_are_shares_of_concepts(table: Path) -> None:
    metric = UmlsOverlap(read_names(table))
    scored = metric.score(["Cardiomegaly. Effusion."], [["Enlarged heart, pneumothorax, pleural effusion"]])
    assert scored.figures == ("UMLS precision", "UMLS recall")
    assert scored.corpus == pytest.approx([1 / 2, 1 / 3])


def test_another_name_of_the_same_concept_counts(table: Path) -> None:
    scored = UmlsOverlap(read_names(table)).score(["cardiomegaly"], [["enlarged heart"]])
    assert scored.corpus == pytest.approx([1.0, 1.0])


def test_an_example_without_concepts_counts_where_it_is_defined(table: Path) -> None:
    metric = UmlsOverlap(read_names(table))
    scored = metric.score(["", "effusion", "Clear.", "heart"], [["heart"], ["Clear."], ["Clear."], ["heart"]])
    assert scored.values == pytest.approx(
        np.array([[0, 0], [0, np.nan], [np.nan, np.nan], [1, 1]]), nan_ok=True
    )
    assert scored.corpus == pytest.approx([1 / 3, 1 / 2])


def test_english_names_in_use_are_read_from_mrconso(tmp_path: Path) -> None:
    path = tmp_path / "MRCONSO.RRF"
    path.write_text(MRCONSO)
    assert read_names(path) == {("pneumothorax",): {"C0032326"}}


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.tsv", "C1\n"), ("a.tsv", ""), ("MRCONSO.RRF", "C1|ENG|heart\n"), ("a.tsv", "C1\t!\n")],
)
def test_a_table_without_names_is_refused(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(MetricError, match=name):
        read_names(path)

"""Tables as publishers write them: read by name, found again by place, refused where they are no table."""

import gzip
from pathlib import Path

import pytest

from model.errors import DatasetError, RowError
from model.training.datasets.tables import Row, Table


def _row(**cells: str) -> Row:
    return Row(cells, 0)


def test_cells_are_found_by_the_name_of_their_column(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('\ufeffname, dx \n"a,b", nv \n\nc\n', encoding="utf-8")
    rows = list(Table(tmp_path / "t.csv", ("name", "dx")))
    assert [(row["name"], row["dx"], row["other"]) for row in rows] == [("a,b", "nv", ""), ("c", "", "")]


def test_tabs_and_gzip_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "t.tab").write_text('name\tdx\n"a"\tnv, or not\n')
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b'name,dx\na,"nv, or not"\n'))
    for name in ("t.tab", "t.csv.gz"):
        (row,) = Table(tmp_path / name)
        assert (row["name"], row["dx"]) == ("a", "nv, or not")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_row_is_found_again_by_its_place(tmp_path: Path, end: str) -> None:
    lines = ["name,text", 'é,"two', 'lines"', "", "b,short", "c,"]
    (tmp_path / "t.csv").write_bytes(end.join(lines).encode())
    table = Table(tmp_path / "t.csv")
    rows = list(table)
    assert [row["name"] for row in rows] == ["é", "b", "c"]
    assert [table.row_at(row.start) for row in reversed(rows)] == list(reversed(rows))


def test_cells_longer_than_the_csv_module_expects_are_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("rle\n" + "1 2 " * 50_000 + "\n")
    (row,) = Table(tmp_path / "t.csv")
    assert len(row["rle"]) == 200_000 - 1


def test_a_lacking_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("name,dx\n")
    with pytest.raises(DatasetError, match=r"t\.csv has no column lesion_id, age"):
        Table(tmp_path / "t.csv", ("lesion_id", "dx", "age"))


def test_a_missing_or_cut_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"t\.csv is missing"):
        Table(tmp_path / "t.csv")
    whole = gzip.compress(b"name\n" + bytes(str(list(range(9000))), "ascii"))
    (tmp_path / "t.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"t\.csv\.gz is damaged"):
        list(Table(tmp_path / "t.csv.gz"))
    (tmp_path / "u.csv").write_text("name\na\n")
    with pytest.raises(DatasetError, match=r"u\.csv has become shorter"):
        Table(tmp_path / "u.csv").row_at(99)


def test_a_number_is_read_or_absent_or_refused() -> None:
    row = _row(a="1.5", b="", c="nan", d="-1", e="much")
    assert [row.number(name) for name in "abcd"] == [1.5, None, None, -1.0]
    with pytest.raises(RowError, match="e is no number"):
        row.number("e")


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("58", 58),
        ("058Y", 58),
        ("58.0", 58),
        ("0", None),
        ("414", None),
        ("", None),
        ("-4", None),
        ("1e9", None),
    ],
)
def test_an_age_is_one_that_a_person_can_have(text: str, years: float | None) -> None:
    assert _row(age=text).years("age") == years

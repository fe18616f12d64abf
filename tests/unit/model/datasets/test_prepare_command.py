"""`medversa-node train prepare`: what it writes, says and returns."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from model.training.commands import train
from model.training.datasets.prepared import PreparedDataset
from model.training.datasets.registry import DATASETS
from tests.unit.model.datasets.drawn_mimic import (
    JPG,
    LATERAL,
    REPORTS,
    TESTED,
    draw_mimic,
    draw_reports,
    image_file,
)

REPORTS_ARCHIVE = "../../mimic-cxr/2.1.0/mimic-cxr-reports.zip"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return draw_mimic(tmp_path / "source")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def prepare(*arguments: object) -> Result:
    return CliRunner().invoke(train, ["prepare", *map(str, arguments)])


def test_a_whole_download_is_prepared(source: Path, out: Path) -> None:
    result = prepare("mimic-cxr", source, out)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == ["dataset.json", "records-00000.jsonl"]
    dataset = PreparedDataset(out)
    assert dataset.header.records == {"train": 1, "validate": 1, "test": 1}
    assert all(dataset.path(image.path).is_file() for record in dataset.records() for image in record.images)


def test_the_header_names_licence_citation_split_and_preprocessing(source: Path, out: Path) -> None:
    prepare("mimic-cxr", source, out)
    card = json.loads((out / "dataset.json").read_text())["card"]
    assert card["licence"] == "PhysioNet Credentialed Health Data License 1.5.0"
    assert card["licence_address"] == "https://physionet.org/content/mimic-cxr/view-license/2.1.0/"
    assert card["citation"].startswith("Johnson")
    assert "official split" in card["split_rule"]
    assert card["preprocessing"]


def test_validate_is_put_into_train_on_request(source: Path, out: Path) -> None:
    assert prepare("mimic-cxr", source, out, "--train-on-validate").exit_code == 0
    header = PreparedDataset(out).header
    assert header.records == {"train": 2, "test": 1}
    assert header.card.split_rule.endswith("validate was put into train")


def test_missing_files_are_named_line_by_line_and_nothing_is_written(source: Path, out: Path) -> None:
    (source / JPG / image_file(LATERAL)).unlink()
    (source / JPG / image_file(TESTED)).write_bytes(b"\xff\xd8")
    result = prepare("mimic-cxr", source, out)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{problem}\t{JPG}/{image_file(name)}\thttps://physionet.org/files/{JPG}/{image_file(name)}"
        for problem, name in (("missing", LATERAL), ("truncated", TESTED))
    ]
    assert not out.exists()


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_an_empty_source_is_named_without_a_trace(name: str, tmp_path: Path, out: Path) -> None:
    for options in ((), ("--check",), ("--partial",)):
        result = prepare(name, tmp_path, out, *options)
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)
        assert "https://" in result.stdout
        assert not out.exists()


def test_a_check_of_a_whole_download_writes_nothing(source: Path, out: Path) -> None:
    result = prepare("mimic-cxr", source, out, "--check")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert not out.exists()


def test_a_partial_download_is_prepared_on_request_and_says_what_it_lacks(source: Path, out: Path) -> None:
    (source / JPG / image_file(TESTED)).unlink()
    draw_reports(source, {study: text for study, text in REPORTS.items() if study != "50000002"})
    result = prepare("mimic-cxr", source, out, "--partial")
    assert result.exit_code == 0, result.output
    assert PreparedDataset(out).header.records == {"train": 1}
    skipped = {row.row: row.reason for shard in PreparedDataset(out).header.shards for row in shard.skipped}
    assert skipped == {"s50000002": "its report is missing", "s50000003": "no image of it was downloaded"}
    assert "its report is missing" in result.stderr


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"<html>403</html>", lambda b: b[:20]]
)
@pytest.mark.parametrize(
    "file", ["mimic-cxr-2.0.0-metadata.csv.gz", "mimic-cxr-2.0.0-chexpert.csv.gz", REPORTS_ARCHIVE]
)
def test_damaged_tables_and_archives_end_without_a_trace(
    source: Path, out: Path, file: str, damage: Callable[[bytes], bytes]
) -> None:
    path = source / JPG / file
    path.write_bytes(damage(path.read_bytes()))
    for options in ((), ("--partial",)):
        result = prepare("mimic-cxr", source, out, *options)
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)
        assert result.stdout.startswith("truncated\t")
        assert path.name in result.stdout


def test_another_preparation_is_not_overwritten(source: Path, out: Path) -> None:
    prepare("mimic-cxr", source, out)
    before = (out / "dataset.json").read_bytes()
    result = prepare("mimic-cxr", source, out, "--train-on-validate")
    assert result.exit_code == 1
    assert "another" in result.stderr
    assert (out / "dataset.json").read_bytes() == before


def test_every_dataset_is_told_with_licence_and_layout() -> None:
    result = CliRunner().invoke(train, ["datasets"])
    assert result.exit_code == 0
    for name, reader in DATASETS.items():
        assert f"{name}: {reader.card.name}" in result.stdout
        assert reader.card.licence_address in result.stdout
        assert reader.card.layout in result.stdout


def test_preparing_needs_no_torch() -> None:
    code = "import sys, model.training.commands; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_dataset_is_answered_with_those_that_are_known(source: Path, out: Path) -> None:
    result = prepare("mimic", source, out)
    assert result.exit_code == 2
    assert "mimic-cxr" in result.stderr


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_dataset_says_what_its_user_must_know(name: str) -> None:
    card = DATASETS[name].card
    told = (card.name, card.version, card.licence, card.citation, card.split_rule, card.layout)
    assert all(told)
    assert card.preprocessing
    assert card.address.startswith("https://")
    assert card.licence_address.startswith("https://")

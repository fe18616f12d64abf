"""The table of concepts has everything that results are coded in, each with where it was looked up."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydicom import Dataset
from pydicom.sr.codedict import codes as dictionary

from structured_reports import codes
from structured_reports.codes_command import codes as command
from structured_reports.profiles import Profile
from structured_reports.registry import write_results
from structured_reports.terminology import HEADINGS, Entry, Level, entries
from tests.unit.structured_reports.readings import (
    RUN,
    chest_reading,
    ct_reading,
    ct_slices,
    dermoscopy,
    grown_nodule,
    header,
    prior_of,
    skin_reading,
    sources,
)
from tests.unit.structured_reports.test_disagreements import contested_reading
from tests.unit.structured_reports.whole_readings import whole_reading

NOT_CONCEPTS = {"RFC5646"}
"""Schemes of languages: a tag is its own meaning."""


def written() -> Iterator[Dataset]:
    chest, skin, slices = header(), dermoscopy(), ct_slices()
    for profile in (Profile.FULL, Profile.STONE, Profile.OHIF_EDIT):
        yield from write_results(
            chest_reading(chest, [grown_nodule()]),
            sources(chest, priors=[prior_of(chest)]),
            replace(RUN, revision=2),
            profile,
        )
        yield from write_results(whole_reading(chest), sources(chest), RUN, profile)
        yield from write_results(contested_reading(chest), sources(chest), RUN, profile)
        yield from write_results(ct_reading(slices), sources(*slices), RUN, profile)
        yield from write_results(skin_reading(skin), sources(skin), RUN, profile)


def codes_in(ds: Dataset) -> Iterator[tuple[str, str, str]]:
    """Every coded entry of an object that is ours: what equipment of others did is not."""
    for element in ds:
        if element.VR != "SQ" or element.keyword == "ProcedureCodeSequence":
            continue
        for item in element.value:
            if "CodeValue" in item:
                yield str(item.CodingSchemeDesignator), str(item.CodeValue), str(item.CodeMeaning)
            yield from codes_in(item)


def test_every_code_of_a_result_is_in_the_table() -> None:
    known = {(entry.code.scheme_designator, entry.code.value) for entry in entries()}
    used = {(scheme, value, meaning) for ds in written() for scheme, value, meaning in codes_in(ds)}
    missing = {each for each in used if each[:2] not in known and each[0] not in NOT_CONCEPTS}
    assert not missing, sorted(missing)


def test_every_label_is_in_it_with_its_source() -> None:
    rows = {entry.used_for: entry for entry in entries() if entry.kind not in {"content", "side"}}
    for label, concept in codes.CONCEPTS.items():
        assert rows[label].code == concept.code
        assert rows[label].source == concept.verified_in


@pytest.mark.parametrize(
    ("label", "level"),
    [("pleural effusion", Level.STANDARD), ("lung nodule", Level.PUBLIC), ("rib fracture", Level.LOCAL)],
)
def test_the_level_is_that_of_the_source(label: str, level: Level) -> None:
    (entry,) = [entry for entry in entries() if entry.used_for == label]
    assert entry.level is level


def test_local_codes_and_no_others_are_level_l() -> None:
    for entry in entries():
        assert (entry.level is Level.LOCAL) == (entry.code.scheme_designator == codes.LOCAL_SCHEME)


@pytest.mark.parametrize(
    "entry",
    [e for e in entries() if e.source == "PS3.16" or e.source.startswith("PS3.16 CID")],
    ids=lambda entry: f"{entry.code.value} {entry.used_for}",
)
def test_what_is_called_standard_stands_in_the_dictionary(entry: Entry) -> None:
    """By pydicom, which makes its dictionary from PS3.16."""
    known = getattr(dictionary, entry.code.scheme_designator).concepts.values()
    assert entry.code.value in {code.value for code in known}


def rows_of(tsv: str) -> Sequence[dict[str, str]]:
    return list(csv.DictReader(tsv.splitlines(), delimiter="\t"))


def test_the_sheet_can_be_read_back() -> None:
    done = CliRunner().invoke(command, ["--format", "tsv"])
    rows = rows_of(done.output)
    assert tuple(rows[0]) == HEADINGS
    assert len(rows) == len(entries())
    assert {"scheme": "SCT", "value": "60046008", "meaning": "Pleural effusion"}.items() <= next(
        row for row in rows if row["used for"] == "pleural effusion"
    ).items()


def test_local_codes_alone_are_what_a_site_may_map() -> None:
    done = CliRunner().invoke(command, ["--format", "tsv", "--local"])
    assert {row["scheme"] for row in rows_of(done.output)} == {codes.LOCAL_SCHEME}


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows = 0
        self.links = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.rows += tag == "tr"
        self.links += any(name in {"src", "href"} for name, _ in attrs)


def test_the_page_has_every_row_and_loads_nothing(tmp_path: Path) -> None:
    file = tmp_path / "codes.html"
    assert CliRunner().invoke(command, ["--format", "html", "--out", str(file)]).exit_code == 0
    page = _Cells()
    page.feed(file.read_text(encoding="utf-8"))
    assert (page.rows, page.links) == (len(entries()) + 1, 0)


def test_columns_of_the_text_stand_below_each_other() -> None:
    lines = CliRunner().invoke(command, []).output.splitlines()
    at = lines[0].index("scheme")
    assert {line[at:].split()[0] for line in lines[1:-2] if line} <= {
        "SCT",
        "DCM",
        "LN",
        "UMLS",
        "UCUM",
        "99MEDVERSA",
    }
    assert "A: in PS3.16" in lines[-1]

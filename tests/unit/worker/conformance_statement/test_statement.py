"""The conformance statement says what the tables say, and the committed one is of this version."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydicom import Dataset

from dicom_node.dimse_status import REFUSED_WITH
from dicom_node.routing import READABLE_CLASSES
from dicom_node.scp import supported_contexts
from dicom_node.section import Section
from dicom_node.settings import NodeSettings
from dicom_node.storage_classes import TRANSFER_SYNTAXES
from structured_reports.codes import CONCEPTS
from structured_reports.products import PRODUCTS, products_of
from structured_reports.profiles import PROFILES, Profile
from structured_reports.registry import DRAWN, WRITERS, write_results
from tests.conftest import ROOT
from tests.document_fonts import needs_text_font
from tests.unit.structured_reports.readings import (
    RUN,
    chest_reading,
    dermoscopy,
    grown_nodule,
    header,
    prior_of,
    skin_reading,
    sources,
)
from tests.unit.structured_reports.test_picture import with_pixels
from worker.conformance_command import conformance_statement
from worker.conformance_statement.configuration import SECTIONS
from worker.conformance_statement.document import statement

COMMITTED = ROOT / "deploy" / "conformance_statement.md"


@pytest.fixture(scope="module")
def said() -> str:
    return statement()


def test_the_committed_statement_is_of_this_version(said: str) -> None:
    """If this fails: `medversa-node conformance-statement --out deploy/conformance_statement.md`."""
    assert COMMITTED.read_text(encoding="utf-8") == said


def test_the_command_prints_and_writes_it(said: str, tmp_path: Path) -> None:
    file = tmp_path / "statement.md"
    assert CliRunner().invoke(conformance_statement, ["--out", str(file)]).exit_code == 0
    assert file.read_text(encoding="utf-8") == said
    assert CliRunner().invoke(conformance_statement, []).output == said


@pytest.mark.parametrize(
    "title",
    [
        "1 Conformance statement overview",
        "2 Table of contents",
        "3 Introduction",
        "4 Networking",
        "4.1 Implementation model",
        "4.2 AE specifications",
        "4.3 Network interfaces",
        "4.4 Configuration",
        "5 Media interchange",
        "6 Support of character sets",
        "7 Security",
        "8 Annexes",
        "8.1 IOD contents",
        "8.2 Data dictionary of private attributes",
        "8.3 Coded terminology and templates",
        "8.4 Grayscale image consistency",
    ],
)
def test_the_chapters_are_those_of_the_standard(said: str, title: str) -> None:
    """PS3.2 Annex A: numbers and order of the template."""
    assert f" {title}\n" in said


def test_chapters_stand_in_order(said: str) -> None:
    numbers = [
        [int(part) for part in line.lstrip("#").split()[0].split(".")]
        for line in said.splitlines()
        if line.startswith("##")
    ]
    assert numbers == sorted(numbers)


def test_every_table_of_the_code_is_in_it(said: str) -> None:
    for uid in (*READABLE_CLASSES, *TRANSFER_SYNTAXES):
        assert f"| {uid} |" in said
    for product in PRODUCTS.values():
        assert all(f"| {uid} | SCU |" in said for uid in product.sop_classes)
    for profile in PROFILES:
        assert f"| `{profile.value}` |" in said
    for reason in REFUSED_WITH:
        assert f"refused | {reason.value} |" in said
    for label, concept in CONCEPTS.items():
        assert f"| {label} | {concept.code.scheme_designator} | {concept.code.value} |" in said


def test_every_setting_is_in_it_with_its_meaning(said: str) -> None:
    assert set(SECTIONS.values()) == _sections_of(NodeSettings)
    for name, section in SECTIONS.items():
        for key, field in section.model_fields.items():
            assert field.description, f"{name} {key} has no docstring"
            assert f"| `{name}` | `{key}` |" in said


def _sections_of(model: type[Section]) -> set[type[Section]]:
    """List the tables of a table's fields, and of theirs; also inside tuple[…, ...]."""
    found: set[type[Section]] = set()
    for field in model.model_fields.values():
        kind = next(iter(getattr(field.annotation, "__args__", (field.annotation,))))
        if isinstance(kind, type) and issubclass(kind, Section):
            found |= {kind} | _sections_of(kind)
    return found


def test_every_table_has_as_many_cells_in_each_row(said: str) -> None:
    for table in (block for block in said.split("\n\n") if block.startswith("|")):
        counts = {line.replace("\\|", "").count("|") for line in table.splitlines()}
        assert len(counts) == 1, table[:200]


def written(profile: Profile) -> Sequence[Dataset]:
    chest, skin = with_pixels(header(), 1000), with_pixels(dermoscopy())
    return (
        *write_results(
            chest_reading(chest, [grown_nodule()]), sources(chest, priors=[prior_of(chest)]), RUN, profile
        ),
        *write_results(skin_reading(skin), sources(skin), RUN, profile),
    )


@pytest.mark.parametrize(
    "profile",
    [pytest.param(each, marks=needs_text_font) if each is Profile.LEGACY_PDF else each for each in Profile],
)
def test_what_is_written_is_what_the_table_of_products_says(profile: Profile) -> None:
    outputs = PROFILES[profile]
    names = products_of(outputs.writers, has_report=outputs.report_class is not None)
    expected = {
        (str(uid), PRODUCTS[name].modality, PRODUCTS[name].series_number)
        for name in names
        for uid in PRODUCTS[name].sop_classes
    }
    got = {(str(ds.SOPClassUID), str(ds.Modality), int(ds.SeriesNumber)) for ds in written(profile)}
    assert got <= expected
    assert {modality for _, modality, _ in got} == {PRODUCTS[name].modality for name in names}


def test_every_writer_has_a_product() -> None:
    assert {*WRITERS, *DRAWN} <= set(PRODUCTS)


def test_the_listener_takes_the_syntaxes_that_are_stated() -> None:
    from pynetdicom.presentation import build_context

    (taken,) = supported_contexts([build_context(next(iter(READABLE_CLASSES)), list(TRANSFER_SYNTAXES))])
    assert [str(uid) for uid in taken.transfer_syntax or ()] == list(TRANSFER_SYNTAXES)

"""Every object says who made it, with what, and for what it may be used; and belongs to the right patient."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import config, dcmread, dcmwrite
from pydicom.dataset import Dataset

from structured_reports.provenance import MANUFACTURER, is_own_result
from structured_reports.registry import write_results
from tests.unit.structured_reports.readings import (
    RUN,
    brief_reading,
    chest_reading,
    ct_reading,
    ct_slices,
    grown_nodule,
    header,
    only,
    prior_of,
    reread,
    sources,
    stored,
)


def results_on(ds: Dataset) -> tuple[Dataset, ...]:
    return write_results(brief_reading(ds), sources(ds), RUN)


def digests(results: tuple[Dataset, ...]) -> list[str]:
    found = []
    for ds in results:
        with BytesIO() as buffer:
            dcmwrite(buffer, ds, enforce_file_format=True)
            found.append(hashlib.sha256(buffer.getvalue()).hexdigest())
    return found


def test_every_object_is_marked(chest_results: tuple[Dataset, ...]):
    for ds in chest_results:
        assert ds.Manufacturer == MANUFACTURER
        assert ds.ContentQualification == "RESEARCH"
        assert ds.SeriesDescription.startswith("AI")
        assert "(RESEARCH)" in ds.SeriesDescription
        assert list(ds.SoftwareVersions) == ["0.1.0", "medversa-demo 0.1.0"]
        assert ds.SpecificCharacterSet == "ISO_IR 192"


def test_weights_are_named_in_full_as_processing_equipment(chest_results: tuple[Dataset, ...]):
    for ds in chest_results:
        made = [
            item
            for item in ds.ContributingEquipmentSequence
            if item.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
            and item.Manufacturer == MANUFACTURER
        ]
        assert len(made) == 1
        assert "ab" * 32 in made[0].ContributionDescription


@pytest.mark.parametrize(("modality", "number"), [("SR", 9001), ("PR", 9003), ("SEG", 9101)])
def test_series_number_is_fixed(modality: str, number: int, chest_results: tuple[Dataset, ...]):
    assert only(chest_results, modality).SeriesNumber == number


def test_objects_lie_in_series_of_their_own(chest_results: tuple[Dataset, ...]):
    series = {ds.SeriesInstanceUID for ds in chest_results} | {header().SeriesInstanceUID}
    assert len(series) == 4


def test_own_result_is_known_again(chest_results: tuple[Dataset, ...], tmp_path: Path):
    for ds in chest_results:
        assert is_own_result(reread(ds, tmp_path))
    assert not is_own_result(header())


def test_own_result_is_known_again_when_an_archive_changed_the_file_meta(chest_results: tuple[Dataset, ...]):
    bare = Dataset()
    bare.update(chest_results[0])
    assert is_own_result(bare)


def test_patient_and_study_are_those_of_the_source(chest_results: tuple[Dataset, ...]):
    source = header()
    for ds in chest_results:
        for keyword in (
            "PatientID",
            "PatientName",
            "PatientBirthDate",
            "PatientSex",
            "StudyInstanceUID",
            "StudyDate",
            "StudyTime",
            "StudyID",
            "AccessionNumber",
            "ReferringPhysicianName",
        ):
            assert ds[keyword].value == source[keyword].value, keyword


@pytest.mark.parametrize("sex", ["U", "X"])
def test_sex_equals_that_of_the_source_even_if_illegal(sex: str):
    for ds in results_on(header(PatientSex=sex)):
        assert ds.PatientSex == sex


def test_nothing_private_and_no_comments_come_along():
    source = header(PatientComments="likes tea", OperatorsName="Op^Erator")
    source.private_block(0x0009, "ACME", create=True).add_new(0x01, "LO", "secret")
    for ds in results_on(source):
        assert not any(element.tag.is_private for element in ds.iterall())
        assert not {"PatientComments", "OperatorsName"} & {element.keyword for element in ds.iterall()}


def test_name_never_appears_in_a_warning_or_log(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
):
    caplog.set_level("DEBUG")
    results_on(header(PatientName="Marker"))
    assert "Marker" not in caplog.text
    assert not [warning for warning in recwarn if "Marker" in str(warning.message)]


@pytest.mark.parametrize(
    "name",
    [
        "chrArab",
        "chrFren",
        "chrGerm",
        "chrGreek",
        "chrH31",
        "chrH32",
        "chrHbrw",
        "chrI2",
        "chrRuss",
        "chrX1",
        "chrX2",
    ],
)
def test_name_in_any_character_set_is_that_of_the_source(name: str, tmp_path: Path):
    named = stored("hard", "charset", f"{name}.dcm")
    source = header(SpecificCharacterSet=named.SpecificCharacterSet, PatientName=named.PatientName)
    for ds in results_on(source):
        assert str(reread(ds, tmp_path).PatientName) == str(named.PatientName)


def test_code_meaning_inside_a_sequence_is_decoded(tmp_path: Path):
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "X1", "99LOCAL", "Рентген грудной клетки"
    cyrillic = header(
        SpecificCharacterSet="ISO_IR 144", PatientName="Люкceмбypг", ProcedureCodeSequence=[code]
    )
    cyrillic.file_meta = only(results_on(header()), "SR").file_meta
    dcmwrite(
        tmp_path / "source.dcm", cyrillic, implicit_vr=False, little_endian=True, enforce_file_format=True
    )
    report = only(results_on(dcmread(tmp_path / "source.dcm")), "SR")
    back = reread(report, tmp_path)
    assert back.ProcedureCodeSequence[0].CodeMeaning == "Рентген грудной клетки"
    assert str(back.PatientName) == "Люкceмбypг"


@pytest.mark.parametrize("missing", ["each", "all"])
def test_results_can_be_written_without_type_2_attributes(missing: str):
    keywords = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID")
    keywords += ("StudyDate", "StudyTime", "ReferringPhysicianName")
    cases = [dict.fromkeys(keywords)] if missing == "all" else [{keyword: None} for keyword in keywords]
    for case in cases:
        for ds in results_on(header(**case)):
            assert all(keyword in ds for keyword in keywords)


def test_illegal_dates_do_not_stop_the_result():
    with config.disable_value_validation():
        source = header(PatientSex="U", PatientBirthDate="00000000", StudyTime="9:30")
    report = only(results_on(source), "SR")
    assert report["PatientBirthDate"].is_empty
    assert report["StudyTime"].is_empty


def test_dates_are_those_of_the_run_in_the_time_zone_of_the_source():
    run = replace(RUN, started_at=datetime(2026, 11, 23, 2, 30, tzinfo=UTC))
    ds = header(TimezoneOffsetFromUTC="-0500")
    for result in write_results(chest_reading(ds), sources(ds), run):
        assert (result.SeriesDate, result.SeriesTime) == ("20261122", "213000")
        assert (result.InstanceCreationDate, result.InstanceCreationTime) == ("20261122", "213000")
        assert result.TimezoneOffsetFromUTC == "-0500"


def test_equal_moments_in_different_zones_are_equal_runs_only_if_written_equally():
    early = datetime(2026, 1, 1, 12, tzinfo=UTC)
    same = early.astimezone(timezone(timedelta(hours=2)))
    ds = header()
    first = write_results(chest_reading(ds), sources(ds), replace(RUN, started_at=early))
    second = write_results(chest_reading(ds), sources(ds), replace(RUN, started_at=same))
    assert {a.SOPInstanceUID for a in first}.isdisjoint(b.SOPInstanceUID for b in second)


_AGAIN = """
import hashlib
from io import BytesIO
from pydicom import dcmwrite
from structured_reports.registry import write_results
from tests.unit.structured_reports.readings import *
def digest(ds):
    with BytesIO() as buffer:
        dcmwrite(buffer, ds, enforce_file_format=True)
        return hashlib.sha256(buffer.getvalue()).hexdigest()
ds = header()
for result in write_results(chest_reading(ds, [grown_nodule()]), sources(ds, priors=[prior_of(ds)]), RUN):
    print(digest(result))
slices = ct_slices()
for result in write_results(ct_reading(slices), sources(*slices), RUN):
    print(digest(result))
"""


def test_same_input_gives_the_same_bytes_in_a_fresh_process(
    chest_results: tuple[Dataset, ...], ct_results: tuple[Dataset, ...]
):
    again = subprocess.run(
        [sys.executable, "-c", _AGAIN],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
        env={"PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONHASHSEED": "7"},
    )
    assert again.stdout.split() == [*digests(chest_results), *digests(ct_results)]


def test_any_change_of_content_gives_another_sop_instance_uid(chest_results: tuple[Dataset, ...]):
    ds = header()
    reading = chest_reading(ds, [grown_nodule()])
    finding = replace(reading.findings[0], certainty=0.9)
    changed = replace(reading, findings=(finding, *reading.findings[1:]))
    results = write_results(changed, sources(ds, priors=[prior_of(ds)]), RUN)
    assert only(results, "SR").SOPInstanceUID != only(chest_results, "SR").SOPInstanceUID
    assert only(results, "SEG").SOPInstanceUID == only(chest_results, "SEG").SOPInstanceUID


def test_another_model_gets_other_series():
    slices = ct_slices()
    reading = ct_reading(slices)
    other = replace(reading, model=replace(reading.model, weights_sha256="cd" * 32))
    first = {ds.SeriesInstanceUID for ds in write_results(reading, sources(*slices), RUN)}
    second = {ds.SeriesInstanceUID for ds in write_results(other, sources(*slices), RUN)}
    assert first.isdisjoint(second)


def test_file_meta_names_the_object(chest_results: tuple[Dataset, ...], tmp_path: Path):
    for ds in chest_results:
        back = reread(ds, tmp_path)
        assert back.file_meta.MediaStorageSOPInstanceUID == back.SOPInstanceUID
        assert back.file_meta.MediaStorageSOPClassUID == back.SOPClassUID
        assert back.file_meta.ImplementationVersionName == "MEDVERSA_NODE_1"

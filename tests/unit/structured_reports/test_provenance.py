"""Every object says who made it, with what, and for what it may be used; and belongs to the right patient."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydicom import config
from pydicom.dataset import Dataset

from structured_reports.provenance import MANUFACTURER, is_own_result
from structured_reports.registry import write_results
from tests.unit.structured_reports.readings import (
    RUN,
    brief_reading,
    chest_reading,
    ct_reading,
    ct_slices,
    header,
    only,
    reread,
    sources,
    stored,
)


def results_on(ds: Dataset) -> tuple[Dataset, ...]:
    return write_results(brief_reading(ds), sources(ds), RUN)


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

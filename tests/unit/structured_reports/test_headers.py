"""Whatever a source header lacks or garbles, a legal one comes out and the source stays as it was."""

from copy import deepcopy

import pytest
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from structured_reports.errors import SourceError
from structured_reports.headers import (
    TYPE_2,
    literal_identity,
    normalised,
    patient_key,
    timezone_of,
    without_escapes,
)
from tests.unit.structured_reports.readings import header


def illegal(**attributes: str) -> Dataset:
    with config.disable_value_validation():
        return header(**attributes)


@pytest.mark.parametrize("keyword", TYPE_2)
def test_absent_type_2_attribute_comes_out_empty(keyword: str):
    assert normalised(header(**{keyword: None}))[keyword].is_empty


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientBirthDate", "00000000"),
        ("PatientBirthDate", "19701301"),
        ("StudyDate", "2026.03.01"),
        ("StudyTime", "9:30"),
        ("StudyTime", "993000"),
        ("PatientSex", "male"),
    ],
)
def test_illegal_value_of_a_required_attribute_is_blanked(keyword: str, value: str):
    assert not normalised(illegal(**{keyword: value})).get(keyword)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("PatientAge", "62"), ("StudyDescription", "x" * 65), ("StudyDescription", "a\x00b")],
)
def test_illegal_value_of_an_optional_attribute_is_dropped(keyword: str, value: str):
    assert keyword not in normalised(illegal(**{keyword: value}))


def test_legal_values_are_kept():
    kept = normalised(header(PatientAge="062Y", StudyTime="101500.25", StudyDescription="CHEST PA"))
    assert (kept.PatientAge, kept.StudyTime, kept.StudyDescription) == ("062Y", "101500.25", "CHEST PA")


def test_private_attributes_names_and_comments_are_left_behind():
    ds = header(PatientComments="likes tea", OperatorsName="Op^Erator")
    ds.private_block(0x0029, "ACME", create=True).add_new(0x01, "LO", "secret")
    kept = normalised(ds)
    assert not {"PatientComments", "OperatorsName"} & {element.keyword for element in kept}
    assert not any(element.tag.is_private for element in kept)


def test_empty_sequence_is_dropped():
    assert "ProcedureCodeSequence" not in normalised(header(ProcedureCodeSequence=Sequence()))


def test_pixel_data_is_left_behind():
    ds = header()
    ds.PixelData = b"\0" * 64
    ds["PixelData"].VR = "OW"
    assert "PixelData" not in normalised(ds)


def test_source_is_not_changed():
    ds = illegal(PatientAge="62", PatientComments="x")
    before = deepcopy(ds)
    normalised(ds)
    assert ds == before


@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"]
)
def test_source_without_identifier_is_refused(keyword: str):
    with pytest.raises(SourceError, match=keyword):
        normalised(header(**{keyword: None}))


def test_name_is_kept_from_the_library_that_prints_it_in_warnings():
    assert not normalised(header(PatientName="Single")).PatientName


def test_identity_is_literal():
    identity = literal_identity(illegal(PatientSex="U", PatientID=" 7 x", AccessionNumber=""))
    assert str(identity["PatientSex"].value) == "U"
    assert str(identity["PatientName"].value) == "Doe^Jane"
    assert "AccessionNumber" not in identity


def test_sex_that_no_code_string_can_hold_is_left_out():
    assert "PatientSex" not in literal_identity(illegal(PatientSex="женский"))


def test_escape_sequences_of_iso_2022_are_removed():
    assert without_escapes("Zhang^XiaoDong=\x1b$)A张^\x1b$)A小东") == "Zhang^XiaoDong=张^小东"
    assert without_escapes("Yamada^Tarou=\x1b$B山田\x1b(B") == "Yamada^Tarou=山田"


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("-0400", -240), ("+0530", 330), ("+1400", 840), ("", None), ("EST", None), ("+9900", None)],
)
def test_time_zone_of_a_source(text: str, minutes: int | None):
    zone = timezone_of(illegal(TimezoneOffsetFromUTC=text))
    offset = None if zone is None else zone.utcoffset(None)
    assert (None if offset is None else offset.total_seconds() / 60) == minutes


def test_patients_are_told_apart_by_issuer():
    assert patient_key(header()) != patient_key(header(IssuerOfPatientID="other"))


def test_patient_without_id_is_known_within_the_study_only():
    one, other = header(PatientID=""), header(PatientID="", StudyInstanceUID="1.2.3.5")
    assert patient_key(one) != patient_key(other)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SOPInstanceUID"])
def test_source_with_something_else_than_a_uid_is_refused(keyword: str):
    with pytest.raises(SourceError, match="not a UID"):
        normalised(illegal(**{keyword: "1.2.3-4"}))


def test_uid_with_a_leading_zero_is_kept_as_archives_file_by_it():
    assert normalised(illegal(StudyInstanceUID="1.2.03")).StudyInstanceUID == "1.2.03"


def test_deidentified_source_keeps_saying_how():
    assert normalised(
        illegal(PatientIdentityRemoved="YES", DeidentificationMethod="x" * 65)
    ).DeidentificationMethod
    kept = normalised(header(PatientIdentityRemoved="YES", DeidentificationMethod="by hand"))
    assert kept.DeidentificationMethod == "by hand"
    assert "DeidentificationMethod" not in normalised(header())

"""Attribute matching by the rules of PS3.4 C.2.2.2."""

import pytest
from pydicom import Dataset

from dicom_node.web.attributes import path_of
from dicom_node.web.matching import matches, uids_of


def ds_of(**elements: object) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


@pytest.mark.parametrize(
    ("keyword", "value", "pattern", "expected"),
    [
        # C.2.2.2.1 single value
        ("AccessionNumber", "A1", "A1", True),
        ("AccessionNumber", "A1", "a1", False),
        ("AccessionNumber", "A1 ", "A1", True),
        ("SeriesNumber", 3, "3", True),
        ("SeriesNumber", 3, "03", True),
        ("SeriesNumber", 3, "x", False),
        ("Rows", 512, "512", True),
        ("PatientName", "Marker^Name", "marker^name", True),
        ("PatientName", "Marker^Name^^^", "Marker^Name", True),
        ("PatientName", "Yamada^Tarou=山田^太郎", "山田*", True),
        ("ModalitiesInStudy", ["CT", "SR"], "SR", True),
        ("ModalitiesInStudy", ["CT", "SR"], "MR", False),
        # C.2.2.2.2 list of UIDs, as PS3.18 separates them
        ("StudyInstanceUID", "1.2.3", "1.2.3", True),
        ("StudyInstanceUID", "1.2.3", "9.9,1.2.3", True),
        ("StudyInstanceUID", "1.2.3", "9.9\\1.2.3", True),
        ("StudyInstanceUID", "1.2.3", "1.2.*", False),
        # C.2.2.2.3 universal
        ("AccessionNumber", "A1", "", True),
        ("AccessionNumber", "", "*", True),
        ("AccessionNumber", "", "A1", False),
        # C.2.2.2.4 wildcards
        ("PatientID", "P4711", "P47*", True),
        ("PatientID", "P4711", "P47??", True),
        ("PatientID", "P4711", "P47?", False),
        ("PatientID", "P[4]", "P[4]", True),
        ("PatientID", "P4", "P[4]", False),
        ("PatientID", "a.b", "a.b", True),
        ("PatientID", "axb", "a.b", False),
        # C.2.2.2.5 ranges
        ("StudyDate", "20260102", "20260102", True),
        ("StudyDate", "20260102", "20260101-20260102", True),
        ("StudyDate", "20260102", "20260103-", False),
        ("StudyDate", "20260102", "20260102-", True),
        ("StudyDate", "20260102", "-20260101", False),
        ("StudyDate", "", "-20260101", False),
        ("StudyTime", "101500", "1000-1015", True),
        ("StudyTime", "101559.999", "-1015", True),
        ("StudyTime", "101600", "-1015", False),
        ("StudyTime", "101500.000", "101500", True),
    ],
)
def test_values_match_by_their_representation(
    keyword: str, value: object, pattern: str, expected: bool
) -> None:
    assert matches(ds_of(**{keyword: value}), path_of(keyword), pattern) is expected


def test_what_is_not_there_matches_only_everything() -> None:
    assert matches(Dataset(), path_of("AccessionNumber"), "")
    assert not matches(Dataset(), path_of("AccessionNumber"), "A1")


@pytest.mark.parametrize(("pattern", "expected"), [("SPS2", True), ("SPS*", True), ("SPS3", False)])
def test_sequences_match_if_one_item_does(pattern: str, expected: bool) -> None:
    items = [ds_of(ScheduledProcedureStepID=text) for text in ("SPS1", "SPS2")]
    path = path_of("RequestAttributesSequence.ScheduledProcedureStepID")
    assert matches(ds_of(RequestAttributesSequence=items), path, pattern) is expected
    assert not matches(Dataset(), path, pattern)


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert not matches(ds_of(PatientComments="a" * 5000), path_of("PatientComments"), "*a" * 20 + "*b")


@pytest.mark.parametrize("text", ["1.2,1.3", "1.2\\1.3", " 1.2 , 1.3,"])
def test_lists_of_uids(text: str) -> None:
    assert uids_of(text) == ("1.2", "1.3")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("PatientID", (0x00100020,)),
        ("00100020", (0x00100020,)),
        ("0020000d", (0x0020000D,)),
        ("RequestAttributesSequence.00400009", (0x00400275, 0x00400009)),
    ],
)
def test_attributes_are_named_by_keyword_or_tag(name: str, path: tuple[int, ...]) -> None:
    assert path_of(name) == path


@pytest.mark.parametrize("name", ["", "patientid", "0010002", "0010002g", "PatientID.", "0010,0020"])
def test_other_names_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="no attribute"):
        path_of(name)

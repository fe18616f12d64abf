"""The table of the standard, and how its codes are resolved."""

from collections import Counter

import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword

from worker.archive_export.profile import Rule, is_safe, read_rules, resolve, rule_of, type_of

CT, SEG, SR = (f"1.2.840.10008.5.1.4.1.1.{suffix}" for suffix in ("2", "66.4", "88.33"))


def rule(keyword: str) -> Rule | None:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return rule_of(tag)


def test_the_table_is_whole() -> None:
    """Table E.1-1 of edition 2026c has so many rows with each code of the basic profile."""
    counted = Counter(rule.basic for rule in read_rules().values())

    assert counted == {
        "X": 416,
        "D": 93,
        "U": 55,
        "Z": 42,
        "X/D": 23,
        "X/Z": 11,
        "X/Z/D": 8,
        "Z/D": 6,
        "X/Z/U*": 2,
    }


@pytest.mark.parametrize(
    ("keyword", "basic"),
    [
        ("PatientName", "Z"),
        ("PatientID", "Z/D"),
        ("PatientBirthDate", "Z"),
        ("OtherPatientIDsSequence", "X"),
        ("ReferringPhysicianName", "Z"),
        ("OperatorsName", "X/Z/D"),
        ("InstitutionName", "X/Z/D"),
        ("StudyInstanceUID", "U"),
        ("FrameOfReferenceUID", "U"),
        ("ContentSequence", "D"),
        ("PersonName", "D"),
        ("ReferencedImageSequence", "X/Z/U*"),
        ("OriginalAttributesSequence", "X"),
        ("IconImageSequence", "X"),
        ("DigitalSignaturesSequence", "X"),
        ("TimezoneOffsetFromUTC", "X"),
        ("EncapsulatedDocument", "D"),
    ],
)
def test_rows_hold_the_codes_of_the_standard(keyword: str, basic: str) -> None:
    found = rule(keyword)

    assert found is not None
    assert found.basic == basic


@pytest.mark.parametrize("tag", [0x50003000, 0x50FE2500, 0x60003000, 0x601E4000, 0x00091001])
def test_repeating_groups_and_private_attributes_are_removed(tag: int) -> None:
    found = rule_of(tag)

    assert found is not None
    assert found.basic == "X"


def test_dates_but_not_births_are_modified() -> None:
    # Not checked: every keyword here has a rule.
    # Not checked: each of these has a rule, else this fails.
    assert all(rule(k).is_date for k in ("StudyDate", "AcquisitionDateTime", "ContentTime", "DateTime"))  # type: ignore[union-attr]
    # Not checked: every keyword here has a rule.
    # Not checked: each of these has a rule, else this fails.
    assert not any(rule(k).is_date for k in ("PatientBirthDate", "PatientBirthTime"))  # type: ignore[union-attr]


def test_every_date_option_is_on_a_date_or_time() -> None:
    listed = [tag for tag, row in read_rules().items() if row.is_date and len(tag) == 8]
    known = [int(tag, 16) for tag in listed if tag not in ("0040B034", "0040A034", "0040A035", "0040B036")]

    assert {dictionary_VR(tag) for tag in known} == {"DA", "DT", "TM"}


@pytest.mark.parametrize(
    ("code", "by_type"),
    [
        ("X/Z/D", {"3": "X", "2": "Z", "1": "D"}),
        ("X/Z", {"3": "X", "2": "Z", "1": "Z"}),
        ("X/D", {"3": "X", "1": "D"}),
        ("Z/D", {"3": "Z", "2": "Z", "1": "D"}),
        ("X/Z/U*", {"3": "U", "2": "U", "1": "U"}),
        ("X", {"1": "X", "3": "X"}),
    ],
)
def test_choices_are_resolved_by_the_type_in_the_iod(code: str, by_type: dict[str, str]) -> None:
    """PS3.15 Table E.1-1a: removal only if the attribute is optional, emptiness only if that is allowed."""
    # Not checked: codes of the table.
    assert {needed: resolve(code, needed) for needed in by_type} == by_type  # type: ignore[arg-type]


def test_types_are_those_of_the_iods() -> None:
    """PS3.3 C.7.5.1 and C.7.5.2: the enhanced module needs a serial number, the general one does not."""
    assert type_of(CT, "DeviceSerialNumber", nested=False) == "3"
    assert type_of(SEG, "DeviceSerialNumber", nested=False) == "1"
    assert type_of(CT, "ContentDate", nested=False) == "2"
    assert type_of(SR, "ContentDate", nested=False) == "1"
    assert type_of("1.2.3", "ContentDate", nested=False) == "3"


def test_safe_values_are_whole_values() -> None:
    assert is_safe("ViewPosition", "PA")
    assert not is_safe("ViewPosition", "PA KIM")
    assert is_safe("PatientAge", "045Y")
    assert not is_safe("PatientAge", "045Y 1961")
    assert not is_safe("StationName", "CT1")

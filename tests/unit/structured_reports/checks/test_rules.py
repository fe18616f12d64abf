"""Every rule is kept by our own objects, and broken by one deliberate fault each."""

import copy
from collections.abc import Callable, Sequence

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from structured_reports.checks.bundle import Bundle, sorted_out
from structured_reports.checks.check import Judgement, Outcome
from structured_reports.checks.registry import CHECKS, NOT_FROM_OBJECTS, judge
from structured_reports.content_tree import groups, name_code, walk
from structured_reports.profiles import Profile
from structured_reports.registry import write_results
from tests.unit.structured_reports.readings import (
    RUN,
    chest_reading,
    ct_reading,
    ct_slices,
    dermoscopy,
    grown_nodule,
    header,
    only,
    prior_of,
    skin_reading,
    sources,
)


def chest() -> list[Dataset]:
    ds = header()
    given = sources(ds, priors=[prior_of(ds)])
    return [ds, *write_results(chest_reading(ds, [grown_nodule()]), given, RUN, Profile.FULL)]


def ct() -> list[Dataset]:
    slices = ct_slices()
    return [*slices, *write_results(ct_reading(slices), sources(*slices), RUN, Profile.FULL)]


def skin() -> list[Dataset]:
    ds = dermoscopy()
    return [ds, *write_results(skin_reading(ds), sources(ds), RUN, Profile.FULL)]


@pytest.mark.parametrize("make", [chest, ct, skin])
def test_our_own_objects_keep_every_rule(make: Callable[[], list[Dataset]]):
    said = list(judge(sorted_out(make())))
    assert [each for each in said if each.outcome is not Outcome.KEPT] == []


def test_every_rule_applies_to_something():
    met = {each.check.identifier for make in (chest, ct) for each in judge(sorted_out(make()))}
    assert met == {check.identifier for check in CHECKS}


def test_every_item_of_the_list_is_a_rule_or_has_a_reason():
    named = {check.identifier.rstrip("bc") for check in CHECKS} | set(NOT_FROM_OBJECTS)
    assert {f"A{n}" for n in range(1, 21)} <= named


@pytest.fixture(scope="module")
def sound() -> list[Dataset]:
    return chest()


def report(objects: Sequence[Dataset]) -> Dataset:
    return next(ds for ds in objects if ds.Modality == "SR" and name_code(ds) == "126000")


def item(ds: Dataset, name: str) -> Dataset:
    return next(each for each in walk(ds) if name_code(each) == name)


def without(ds: Dataset, name: str) -> None:
    ds.ContentSequence = DicomSequence(each for each in ds.ContentSequence if name_code(each) != name)


def group_with(ds: Dataset, value_type: str) -> Dataset:
    return next(g for g in groups(ds) if any(each.ValueType == value_type for each in g.ContentSequence))


def other_patient(objects: list[Dataset]) -> None:
    report(objects).PatientID = "P2"


def other_birth_date(objects: list[Dataset]) -> None:
    report(objects).PatientBirthDate = "19700102"


def silent_series(objects: list[Dataset]) -> None:
    only(objects, "SEG").SeriesDescription = "Segments of MAIN"


def in_the_images_series(objects: list[Dataset]) -> None:
    only(objects, "SEG").SeriesInstanceUID = objects[0].SeriesInstanceUID


def same_uid(objects: list[Dataset]) -> None:
    only(objects, "PR").SOPInstanceUID = only(objects, "KO").SOPInstanceUID


def no_serial_number(objects: list[Dataset]) -> None:
    del only(objects, "SEG").DeviceSerialNumber


def no_processing_equipment(objects: list[Dataset]) -> None:
    del only(objects, "KO").ContributingEquipmentSequence


def verified(objects: list[Dataset]) -> None:
    report(objects).VerificationFlag = "VERIFIED"


def a_person_observed(objects: list[Dataset]) -> None:
    item(report(objects), "121005").ConceptCodeSequence[0].CodeValue = "121006"


def no_image_library(objects: list[Dataset]) -> None:
    without(report(objects), "111028")


def no_language(objects: list[Dataset]) -> None:
    without(report(objects), "121049")


def nothing_said(objects: list[Dataset]) -> None:
    kept = ("121049", "111028")
    report(objects).ContentSequence = DicomSequence(
        each for each in report(objects).ContentSequence if name_code(each) in kept[:1]
    )


def no_unit(objects: list[Dataset]) -> None:
    number = next(each for each in walk(report(objects)) if each.ValueType == "NUM")
    del number.MeasuredValueSequence[0].MeasurementUnitsCodeSequence


def impossible_certainty(objects: list[Dataset]) -> None:
    item(report(objects), "111012").MeasuredValueSequence[0].NumericValue = "101"


def measured_on_nothing(objects: list[Dataset]) -> None:
    group = group_with(report(objects), "NUM")
    group.ContentSequence = DicomSequence(
        each for each in group.ContentSequence if each.ValueType in {"NUM", "TEXT", "CODE"}
    )


def outside_the_image(objects: list[Dataset]) -> None:
    region = next(each for each in walk(report(objects)) if each.ValueType == "SCOORD")
    region.GraphicData = [0, 0, 49, 0, 49, 10, 0, 10, 0, 0]


def segment_without_type(objects: list[Dataset]) -> None:
    del only(objects, "SEG").SegmentSequence[0].SegmentedPropertyTypeCodeSequence


def segment_by_hand(objects: list[Dataset]) -> None:
    only(objects, "SEG").SegmentSequence[0].SegmentAlgorithmType = "MANUAL"


def segment_numbers_from_two(objects: list[Dataset]) -> None:
    for segment in only(objects, "SEG").SegmentSequence:
        segment.SegmentNumber += 1


def another_size(objects: list[Dataset]) -> None:
    only(objects, "SEG").Rows += 8


def frame_from_nowhere(objects: list[Dataset]) -> None:
    for group in only(objects, "SEG").PerFrameFunctionalGroupsSequence:
        group.DerivationImageSequence = DicomSequence()


def other_tracking(objects: list[Dataset]) -> None:
    for segment in only(objects, "SEG").SegmentSequence:
        segment.TrackingUID = "1.2.3"


def untracked(objects: list[Dataset]) -> None:
    without(groups(report(objects))[0], "112040")


def two_findings_one_uid(objects: list[Dataset]) -> None:
    first, *_, last = groups(report(objects))
    item(last, "112040").UID = item(first, "112040").UID


def unlisted(objects: list[Dataset]) -> None:
    (study,) = report(objects).CurrentRequestedProcedureEvidenceSequence
    study.ReferencedSeriesSequence = DicomSequence(study.ReferencedSeriesSequence[1:])


def unnamed_segmentation(objects: list[Dataset]) -> None:
    uid = only(objects, "SEG").SOPInstanceUID
    (study,) = report(objects).CurrentRequestedProcedureEvidenceSequence
    study.ReferencedSeriesSequence = DicomSequence(
        series
        for series in study.ReferencedSeriesSequence
        if all(each.ReferencedSOPInstanceUID != uid for each in series.ReferencedSOPSequence)
    )


def change_from_nothing(objects: list[Dataset]) -> None:
    group = next(g for g in groups(report(objects)) if any(name_code(i) == "263703002" for i in walk(g)))
    without(group, "121079")


def its_own_predecessor(objects: list[Dataset]) -> None:
    ds = report(objects)
    ds.PredecessorDocumentsSequence = copy.deepcopy(ds.CurrentRequestedProcedureEvidenceSequence)


def number_beside_a_box(objects: list[Dataset]) -> None:
    ds = report(objects)
    boxed = group_with(ds, "SCOORD")
    boxed.ContentSequence.append(copy.deepcopy(item(ds, "111012")))


def absent_finding(objects: list[Dataset]) -> None:
    item(groups(report(objects))[0], "705057003").ConceptCodeSequence[0].CodeValue = "272519000"


def unknown_presence(objects: list[Dataset]) -> None:
    item(groups(report(objects))[0], "705057003").ConceptCodeSequence[0].CodeValue = "1234567"


def undeclared_scheme(objects: list[Dataset]) -> None:
    ds = report(objects)
    ds.CodingSchemeIdentificationSequence = DicomSequence()
    ds.ContentSequence[0].ConceptNameCodeSequence[0].CodingSchemeDesignator = "99OTHER"


def private(objects: list[Dataset]) -> None:
    only(objects, "KO").private_block(0x0011, "ACME", create=True).add_new(1, "LO", "x")


FAULTS: list[tuple[Callable[[list[Dataset]], None], str]] = [
    (other_patient, "A1"),
    (other_birth_date, "A1"),
    (silent_series, "A2"),
    (in_the_images_series, "A2"),
    (same_uid, "A3"),
    (no_serial_number, "A4"),
    (no_processing_equipment, "A4"),
    (verified, "A5"),
    (a_person_observed, "A5"),
    (no_image_library, "A6"),
    (no_language, "A6"),
    (nothing_said, "A7"),
    (no_unit, "A8"),
    (impossible_certainty, "A8"),
    (measured_on_nothing, "A8b"),
    (outside_the_image, "A9"),
    (segment_without_type, "A10"),
    (segment_by_hand, "A10"),
    (segment_numbers_from_two, "A10"),
    (another_size, "A10b"),
    (frame_from_nowhere, "A10c"),
    (other_tracking, "A12"),
    (untracked, "A14"),
    (two_findings_one_uid, "A14"),
    (unlisted, "A15"),
    (unnamed_segmentation, "A16"),
    (change_from_nothing, "A17"),
    (its_own_predecessor, "A18"),
    (number_beside_a_box, "R1"),
    (absent_finding, "R2"),
    (unknown_presence, "R3"),
    (undeclared_scheme, "R4"),
    (private, "R5"),
]


def broken(objects: Sequence[Dataset]) -> set[str]:
    return {each.check.identifier for each in judge(sorted_out(objects)) if each.outcome is Outcome.BROKEN}


@pytest.mark.parametrize(("spoil", "rule"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_a_fault_breaks_its_rule(spoil: Callable[[list[Dataset]], None], rule: str, sound: list[Dataset]):
    objects = copy.deepcopy(sound)
    spoil(objects)
    assert rule in broken(objects)


def test_every_rule_can_be_broken():
    assert {check.identifier for check in CHECKS} == {rule for _, rule in FAULTS}


def judgement(objects: Sequence[Dataset], rule: str) -> list[Judgement]:
    return [each for each in judge(sorted_out(objects)) if each.check.identifier == rule]


def test_without_images_what_needs_them_is_not_judged(sound: list[Dataset]):
    outcomes = {each.outcome for each in judgement(sound[1:], "A1")}
    assert outcomes == {Outcome.NOT_JUDGED}


def test_an_object_that_cannot_be_read_breaks_its_rule_and_no_other_object_suffers(sound: list[Dataset]):
    objects = copy.deepcopy(sound)
    for segment in only(objects, "SEG").SegmentSequence:
        segment.SegmentNumber = None
    del only(objects, "SEG").Rows
    said = judgement(objects, "A10b")
    assert [each.outcome for each in said] == [Outcome.BROKEN]
    assert said[0].faults == ("cannot be read: AttributeError",)
    assert all(each.outcome is Outcome.KEPT for each in judge(sorted_out(objects)) if each.modality == "KO")


def test_faults_hold_no_value_of_the_patient(sound: list[Dataset]):
    objects = copy.deepcopy(sound)
    other_patient(objects)
    report(objects).PatientName = "Zzyzx^Quux"
    told = " ".join(fault for each in judge(sorted_out(objects)) for fault in each.faults)
    assert "Zzyzx" not in told
    assert "P2" not in told.split()


def test_images_and_captures_are_told_from_results():
    bundle: Bundle = sorted_out([header(), *chest()[1:]])
    assert len(bundle.images) == 1
    assert len(bundle.results) == len(chest()) - 1

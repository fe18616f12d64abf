"""What reports for OHIF hold where, and that they say no less than the report of TID 1500."""

import pytest
from pydicom.dataset import Dataset

from structured_reports.codes import NOT_DRAWN
from structured_reports.conformance import publication_faults
from structured_reports.content_tree import children, groups, name_code, value_code, walk
from structured_reports.overlays import overlays_on
from structured_reports.profiles import Profile
from structured_reports.registry import write_results
from structured_reports.writers.ohif_groups import RECTANGLE
from structured_reports.writers.tid1500 import ReportClass
from tests.unit.structured_reports.readings import (
    RUN,
    box,
    brief_reading,
    chest_reading,
    child,
    ct_reading,
    ct_slices,
    grown_nodule,
    header,
    only,
    prior_of,
    sources,
)
from tests.unit.structured_reports.whole_readings import asked_reading

FOR_OHIF = (Profile.OHIF, Profile.OHIF_EDIT)


def report_in(profile: Profile) -> Dataset:
    ds = header()
    given = sources(ds, priors=[prior_of(ds)])
    return only(write_results(chest_reading(ds, [grown_nodule()]), given, RUN, profile), "SR")


def container(report: Dataset, code_value: str) -> Dataset | None:
    return next((item for item in report.ContentSequence if name_code(item) == code_value), None)


def measured(report: Dataset) -> list[Dataset]:
    """List the groups directly among the Imaging Measurements (DCM 126010)."""
    found = container(report, "126010")
    assert found is not None
    return [item for item in found.ContentSequence if name_code(item) == "125007"]


def uid_of(group: Dataset) -> str:
    item = child(group, "112040")
    assert item is not None
    return str(item.UID)


def findings(report: Dataset) -> list[str]:
    return sorted(value_code(item) for group in groups(report) for item in group.ContentSequence
                  if name_code(item) == "121071")  # fmt: skip


@pytest.mark.parametrize("profile", FOR_OHIF)
def test_every_measurement_has_coordinates_alone_or_under_its_tracking_uid(profile: Profile):
    boxed = {
        uid_of(group)
        for group in measured(report_in(profile))
        if any(item.ValueType == "SCOORD" for item in walk(group))
    }
    assert boxed
    assert {uid_of(group) for group in measured(report_in(profile))} == boxed


@pytest.mark.parametrize("profile", FOR_OHIF)
def test_nothing_that_the_report_of_the_template_says_is_lost(profile: Profile):
    template = report_in(Profile.AIR)
    assert findings(report_in(profile)) == findings(template)
    numbers = [
        sorted(
            str(item.MeasuredValueSequence[0].NumericValue)
            for item in walk(report)
            if item.ValueType == "NUM" and name_code(item) != "42798000"
        )
        for report in (template, report_in(profile))
    ]
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize("profile", FOR_OHIF)
def test_the_algorithm_is_named_wherever_groups_stand(profile: Profile):
    report = report_in(profile)
    for code_value in ("126010", NOT_DRAWN.value):
        found = container(report, code_value)
        assert found is not None
        assert child(found, "111001") is not None


@pytest.mark.parametrize("profile", FOR_OHIF)
def test_reports_for_ohif_pass_the_publication_gate(profile: Profile):
    ds = header()
    reading, given = chest_reading(ds, [grown_nodule()]), sources(ds, priors=[prior_of(ds)])
    assert publication_faults(write_results(reading, given, RUN, profile), given, reading) == []


def test_a_report_without_boxes_has_an_empty_list_of_measurements():
    slices = ct_slices()
    report = only(write_results(ct_reading(slices), sources(*slices), RUN, Profile.OHIF), "SR")
    assert measured(report) == []
    assert len(groups(report)) == 3


def test_a_report_of_boxes_alone_keeps_nothing_apart():
    ds = header()
    reading = chest_reading(ds, findings=(), masks=())
    report = only(write_results(reading, sources(ds), RUN, Profile.OHIF), "SR")
    assert len(measured(report)) == 3
    assert container(report, NOT_DRAWN.value) is None


def test_a_finding_stays_with_its_only_box():
    ds = header()
    report = only(write_results(brief_reading(ds), sources(ds), RUN, Profile.OHIF), "SR")
    finding, box = measured(report)
    assert uid_of(finding) == uid_of(box)
    assert child(finding, "111012") is not None


def test_a_rectangle_to_be_edited_has_the_form_in_which_ohif_stores_its_own():
    """PS3.16 TID 1501 with an Area that is inferred from the coordinates (TID 300)."""
    ds = header()
    report = only(write_results(brief_reading(ds), sources(ds), RUN, Profile.OHIF_EDIT), "SR")
    (group,) = measured(report)
    assert group.ContentTemplateSequence[0].TemplateIdentifier == "1501"
    identifier, area, comment = child(group, "112039"), child(group, "42798000"), child(group, "121106")
    assert identifier is not None
    assert identifier.TextValue == RECTANGLE
    assert comment is not None
    assert comment.TextValue == "AI: right lung nodule, 93.4 %"
    assert area is not None
    (region,) = area.ContentSequence
    assert (region.ValueType, region.RelationshipType) == ("SCOORD", "INFERRED FROM")
    assert region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == ds.SOPInstanceUID
    assert child(group, "111030") is None


def test_area_is_that_of_the_rectangle_in_the_plane_of_the_patient():
    """32 rows of 0.5 mm by 12 columns of 0.5 mm."""
    slices = ct_slices()
    reading = ct_reading(slices, boxes=(box("liver", slices[0], low=(0.25, 0.25), high=(0.75, 0.5)),))
    report = only(write_results(reading, sources(*slices), RUN, Profile.OHIF_EDIT), "SR")
    area = child(measured(report)[0], "42798000")
    assert area is not None
    value = area.MeasuredValueSequence[0]
    assert float(value.NumericValue) == 32 * 0.5 * 12 * 0.5
    assert value.MeasurementUnitsCodeSequence[0].CodeValue == "mm2"


def test_what_is_said_of_a_region_that_was_asked_about_stays_with_it():
    ds = header()
    report = only(write_results(asked_reading(ds), sources(ds), RUN, Profile.OHIF_EDIT), "SR")
    assert any(child(group, "111058") is not None for group in measured(report))


def test_a_report_class_can_still_be_chosen():
    ds = header()
    report = write_results(
        chest_reading(ds), sources(ds), RUN, Profile.OHIF, report_class=ReportClass.COMPREHENSIVE
    )[-1]
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.33"
    assert [uid_of(group) for group in measured(report)]


def test_other_profiles_keep_every_group_among_the_measurements():
    for profile in (Profile.AIR, Profile.STONE):
        report = report_in(profile)
        assert len(measured(report)) == len(groups(report))
        assert list(children(report, NOT_DRAWN)) == []


def test_a_radiograph_is_given_the_plane_that_ohif_assumes():
    ds = header()
    plain, told = (only(write_results(chest_reading(ds), sources(ds), RUN, profile), "SEG")
                   for profile in (Profile.AIR, Profile.OHIF))  # fmt: skip
    shared = told.SharedFunctionalGroupsSequence[0]
    assert list(shared.PlaneOrientationSequence[0].ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
    assert "PlaneOrientationSequence" not in plain.SharedFunctionalGroupsSequence[0]
    assert "FrameOfReferenceUID" not in told
    assert told.PixelData == plain.PixelData
    assert told.SeriesInstanceUID != plain.SeriesInstanceUID


def test_pictures_name_a_rectangle_of_ohif_by_its_finding_not_by_the_tool():
    ds = header()
    results = write_results(brief_reading(ds), sources(ds), RUN, Profile.OHIF_EDIT)
    (rectangle,) = overlays_on(ds, 1, results[-1:]).rectangles
    assert rectangle.label.startswith("Nodule of lung")

"""A change is coded only against a prior that was supplied, and only where the findings agree."""

from dataclasses import replace

import pytest
from pydicom.dataset import Dataset

from model.reading import Change, ChangeStatus, Comparison, Finding, Laterality, Presence
from structured_reports.errors import EvidenceError
from structured_reports.registry import write_results
from structured_reports.sources import PriorSource
from tests.unit.structured_reports.readings import (
    RUN,
    chest_reading,
    child,
    groups,
    grown_nodule,
    header,
    items,
    name_of,
    only,
    prior_of,
    sources,
    texts,
    value_of,
)


def report_with(
    comparison: Comparison, *priors: PriorSource, findings: tuple[Finding, ...] | None = None
) -> Dataset:
    ds = header()
    reading = replace(chest_reading(ds, [comparison]), boxes=(), masks=())
    if findings is not None:
        reading = replace(reading, findings=findings)
    return only(write_results(reading, sources(ds, priors=priors or [prior_of(ds)]), RUN), "SR")


def changed(report: Dataset) -> dict[str, str]:
    """Map the finding of every group with a change to the code of the change."""
    found = {}
    for group in groups(report):
        status, finding = child(group, "263703002"), child(group, "121071")
        if status is not None and finding is not None:
            found[value_of(finding)] = value_of(status)
    return found


def one(label: str, status: ChangeStatus, side: Laterality | None = None) -> Comparison:
    return Comparison(0, (Change(label, status, side),), "")


def test_change_stands_in_the_group_of_its_finding(chest_report: Dataset):
    nodules = [g for g in groups(chest_report) if child(g, "263703002") and child(g, "111012")]
    assert len(nodules) == 1
    assert value_of(child(nodules[0], "263703002")) == "35105006"


def test_resolved_finding_has_a_group_and_is_absent(chest_report: Dataset):
    group = next(g for g in groups(chest_report) if value_of(child(g, "121071")) == "36118008")
    assert value_of(child(group, "705057003")) == "272519000"
    assert value_of(child(group, "263703002")) == "413322009"


def test_every_change_names_a_prior_image_that_is_listed_as_other_evidence(chest_report: Dataset):
    listed = {
        reference.ReferencedSOPInstanceUID
        for study in chest_report.PertinentOtherEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    with_change = [group for group in groups(chest_report) if child(group, "263703002")]
    assert len(with_change) == 2
    for group in with_change:
        baseline = child(group, "121079")
        assert baseline is not None
        assert baseline.ReferencedSOPSequence[0].ReferencedSOPInstanceUID in listed


def test_group_with_change_is_placed_in_time(chest_report: Dataset):
    group = next(group for group in groups(chest_report) if child(group, "263703002"))
    time_point, order = child(group, "C2348792"), child(group, "126073")
    assert time_point is not None
    assert time_point.TextValue == "2026-03-01"
    assert order is not None
    assert int(float(order.MeasuredValueSequence[0].NumericValue)) == 2


def test_comparison_in_words_names_the_date_of_the_prior(chest_report: Dataset):
    (text,) = texts(chest_report, "111424")
    assert "2025-01-01" in text
    assert "The nodule is larger." in text
    assert [value_of(item) for item in items(chest_report) if name_of(item) == "122140"] == ["373066001"]


@pytest.mark.parametrize("prior", [0, 1])
def test_comparison_without_supplied_prior_is_refused(prior: int):
    ds = header()
    priors = [prior_of(ds)] * prior
    with pytest.raises(EvidenceError):
        write_results(chest_reading(ds, [grown_nodule(prior)]), sources(ds, priors=priors), RUN)


def test_comparison_with_a_prior_without_images_is_refused():
    with pytest.raises(EvidenceError):
        report_with(grown_nodule(), PriorSource((), "20250101"))


def test_overall_change_is_said_of_the_study_as_a_whole():
    report = report_with(one("chest", ChangeStatus.UNCHANGED))
    (group,) = [group for group in groups(report) if child(group, "263703002")]
    finding, site = child(group, "121071"), child(group, "363698007")
    assert finding is not None
    assert finding.ConceptCodeSequence[0].CodingSchemeDesignator == "99MEDVERSA"
    assert site is not None
    assert value_of(site) == "816094009"
    assert value_of(child(group, "263703002")) == "260388006"
    assert child(group, "705057003") is None


@pytest.mark.parametrize("status", [ChangeStatus.NEW, ChangeStatus.INCREASED, ChangeStatus.DECREASED])
def test_change_of_an_absent_finding_leaves_its_presence_undetermined(status: ChangeStatus):
    findings = (Finding("consolidation", Presence.ABSENT, 0.9),)
    report = report_with(one("consolidation", status), findings=findings)
    (group,) = [group for group in groups(report) if child(group, "263703002")]
    assert value_of(child(group, "705057003")) == "373068000"
    assert any("undetermined" in text for text in texts(group, "121106"))
    assert not [item for item in items(report) if name_of(item) == "95436008"], (
        "it is not called absent as well"
    )


def test_resolution_of_a_present_finding_is_a_contradiction_and_not_coded():
    report = report_with(
        one("consolidation", ChangeStatus.RESOLVED),
        findings=(Finding("consolidation", Presence.PRESENT, 0.9),),
    )
    assert changed(report) == {}
    assert any("not coded" in text for text in texts(report, "121106"))


def test_finding_absent_then_and_now_is_said_as_no_change_of_the_whole():
    findings = (Finding("consolidation", Presence.ABSENT, 0.9),)
    report = report_with(one("consolidation", ChangeStatus.UNCHANGED), findings=findings)
    assert changed(report) == {"OVERALL": "260388006"}
    assert [value_of(item) for item in items(report) if name_of(item) == "95436008"] == ["272519000"]


def test_finding_absent_then_and_now_is_not_stated_beside_another_change():
    findings = (
        Finding("consolidation", Presence.ABSENT, 0.9),
        Finding("pleural effusion", Presence.PRESENT, 0.9, Laterality.LEFT),
    )
    changes = (
        Change("consolidation", ChangeStatus.UNCHANGED),
        Change("pleural effusion", ChangeStatus.DECREASED, Laterality.LEFT),
    )
    assert changed(report_with(Comparison(0, changes, ""), findings=findings)) == {"60046008": "1250004"}


def test_change_since_an_older_prior_does_not_share_the_tracking_uid():
    ds = header()
    priors = [prior_of(ds, "20250101"), prior_of(ds, "20240101")]
    reading = chest_reading(ds, [grown_nodule(0), grown_nodule(1)])
    report = only(write_results(reading, sources(ds, priors=priors), RUN), "SR")
    with_change = [group for group in groups(report) if child(group, "263703002")]
    uids = [child(group, "112040").UID for group in with_change]
    baselines = {
        child(group, "121079").ReferencedSOPSequence[0].ReferencedSOPInstanceUID for group in with_change
    }
    assert len(uids) == len(set(uids)) == 4
    assert baselines == {prior.instances[0].SOPInstanceUID for prior in priors}
    assert len(texts(report, "111424")) == 2


def test_tracking_uid_is_the_same_in_the_next_study_of_the_patient():
    ds = header()
    later = header(StudyInstanceUID="1.2.3.99", SeriesInstanceUID="1.2.3.99.1", SOPInstanceUID="1.2.3.99.1.1")
    uids = []
    for study in (ds, later):
        report = only(write_results(chest_reading(study), sources(study), RUN), "SR")
        uids.append([child(group, "112040").UID for group in groups(report)])
    assert uids[0] == uids[1]


def test_report_on_the_prior_is_named():
    ds = header()
    prior = prior_of(ds)
    earlier = only(write_results(chest_reading(prior.instances[0]), sources(prior.instances[0]), RUN), "SR")
    report = report_with(grown_nodule(), replace(prior, report=earlier))
    (item,) = [item for item in report.ContentSequence if name_of(item) == "122075"]
    assert item.ValueType == "COMPOSITE"
    assert item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == earlier.SOPInstanceUID


BOTH = (
    Finding("pleural effusion", Presence.PRESENT, 0.9, Laterality.LEFT),
    Finding("pleural effusion", Presence.PRESENT, 0.8, Laterality.RIGHT),
)


def sides_of_changes(report: Dataset) -> list[str]:
    """List the side of every group with a change; empty where none is said."""
    found = []
    for group in groups(report):
        site = child(group, "363698007")
        if child(group, "263703002") is not None and site is not None:
            found.append(next((value_of(item) for item in site.get("ContentSequence", ())), ""))
    return found


@pytest.mark.parametrize(
    ("side", "expected"),
    [(Laterality.LEFT, "7771000"), (Laterality.BILATERAL, "51440002"), (None, "")],
    ids=["one side", "both sides", "no side"],
)
def test_change_of_a_finding_on_both_sides_keeps_the_side_it_claims(side: Laterality | None, expected: str):
    report = report_with(one("pleural effusion", ChangeStatus.INCREASED, side), findings=BOTH)
    assert sides_of_changes(report) == [expected]
    assert len(groups(report)) == (2 if side is Laterality.LEFT else 3)


def test_side_of_a_change_is_not_lost_where_the_finding_has_none():
    findings = (Finding("pleural effusion", Presence.PRESENT, 0.9),)
    report = report_with(one("pleural effusion", ChangeStatus.INCREASED, Laterality.LEFT), findings=findings)
    assert sides_of_changes(report) == ["7771000"]


def test_change_on_the_other_side_than_the_finding_is_undetermined():
    report = report_with(one("pleural effusion", ChangeStatus.INCREASED, Laterality.RIGHT), findings=BOTH[:1])
    (group,) = [group for group in groups(report) if child(group, "263703002")]
    assert sides_of_changes(report) == ["24028007"]
    assert value_of(child(group, "705057003")) == "373068000"


def test_resolution_on_both_sides_is_denied_by_a_finding_on_one():
    report = report_with(
        one("pleural effusion", ChangeStatus.RESOLVED, Laterality.BILATERAL), findings=BOTH[:1]
    )
    assert changed(report) == {}


def test_resolution_on_one_side_agrees_with_a_finding_on_the_other():
    report = report_with(one("pleural effusion", ChangeStatus.RESOLVED, Laterality.RIGHT), findings=BOTH[:1])
    assert changed(report) == {"60046008": "413322009"}
    assert sides_of_changes(report) == ["24028007"]


def test_change_of_an_undetermined_finding_says_so():
    findings = (Finding("consolidation", Presence.UNDETERMINED),)
    report = report_with(one("consolidation", ChangeStatus.NEW, Laterality.LEFT), findings=findings)
    group = next(group for group in groups(report) if child(group, "263703002"))
    assert value_of(child(group, "705057003")) == "373068000"


def test_no_two_groups_of_findings_and_changes_share_a_tracking_uid():
    findings = (Finding("pleural effusion", Presence.PRESENT, 0.9), *BOTH)
    changes = tuple(
        Change("pleural effusion", ChangeStatus.INCREASED, side)
        for side in (None, *Laterality, Laterality.LEFT)
    )
    report = report_with(Comparison(0, changes, ""), findings=findings)
    stated = [group for group in groups(report) if child(group, "705057003")]
    uids = [child(group, "112040").UID for group in stated]
    assert len(uids) == len(set(uids)) == 4

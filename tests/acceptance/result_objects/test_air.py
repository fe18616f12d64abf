"""IHE AI Results, as an Evidence Creator: items A1 to A18 of the list that `medversa-node conformance` uses.

Each test asks that every object of every bundle keeps the rules of its item, and of something that no rule on
finished objects can see. Built to the public descriptions of the profile; nobody has certified anything.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import highdicom as hd
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from model.reading import Reading, Task
from structured_reports import codes
from structured_reports.checks.bundle import evidence_of, sorted_out
from structured_reports.checks.check import Judgement, Outcome
from structured_reports.checks.registry import judge
from structured_reports.conformance import publication_faults
from structured_reports.content_tree import (
    TRACKING_UID,
    children,
    groups,
    is_named,
    name_code,
    value_code,
    walk,
)
from structured_reports.profiles import Profile
from structured_reports.registry import write_bundles, write_results
from tests.acceptance.result_objects.objects import BUNDLES, built, chest, ct, every_result, only, write
from tests.unit.structured_reports.readings import (
    MODEL,
    RUN,
    box,
    chest_reading,
    grown_nodule,
    header,
    prior_of,
    sources,
)

CURRENT, OTHER = "CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"
REJECTION_NOTES = {"113001", "113037", "113038", "113039"}
"""Titles of CID 7011 by which archives hide what a key object selection names."""


@cache
def judgements() -> tuple[Judgement, ...]:
    bundles = [make() for make in BUNDLES.values()]
    return tuple(
        judgement
        for bundle in bundles
        for judgement in judge(sorted_out([*bundle.sources.all_instances(), *bundle.results]))
    )


def assert_kept(*rules: str) -> None:
    """Ask that each rule applied to something and was kept by everything that it applied to."""
    for rule in rules:
        said = [each for each in judgements() if each.check.identifier == rule]
        assert said
        assert [each for each in said if each.outcome is not Outcome.KEPT] == []


def listed(report: Dataset, keyword: str) -> set[str]:
    return {reference.sop_instance_uid for _, reference in evidence_of(report, keyword)}


def items_named(report: Dataset, name: str) -> list[Dataset]:
    return [item for item in walk(report) if name_code(item) == name]


def test_air_a01_results_are_filed_with_the_current_study_and_its_order():
    assert_kept("A1")
    request = Dataset()
    request.AccessionNumber, request.RequestedProcedureID = "A1", "RP1"
    ds = header(RequestAttributesSequence=[request])
    bundle = built(chest_reading(ds), sources(ds, priors=[prior_of(ds)]), Profile.FULL)
    for result in bundle.results:
        assert (result.StudyInstanceUID, result.AccessionNumber, result.StudyID) == ("1.2.3.4", "A1", "S1")
    (order,) = bundle.report.ReferencedRequestSequence
    assert (order.AccessionNumber, order.RequestedProcedureID) == ("A1", "RP1")


def test_air_a02_each_kind_of_object_has_its_series():
    assert_kept("A2")
    numbers = {(str(ds.Modality), int(ds.SeriesNumber)) for ds in chest().results}
    reports = {("SR", 9001), ("SR", 9002), ("DOC", 9501)}
    assert numbers == reports | {("PR", 9003), ("KO", 9004), ("SEG", 9101), ("OT", 9401)}


def test_air_a03_a_job_that_is_run_again_makes_no_second_copy():
    assert_kept("A3")
    again = write_results(chest().reading, chest().sources, RUN, Profile.FULL)
    assert {ds.SOPInstanceUID for ds in again} <= {ds.SOPInstanceUID for ds in chest().results}


def test_air_a04_equipment_names_node_model_and_weights():
    assert_kept("A4")
    for ds in every_result():
        assert list(ds.SoftwareVersions) == [RUN.software_version, f"{MODEL.name} {MODEL.version}"]
        told = [item.get("ContributionDescription", "") for item in ds.ContributingEquipmentSequence]
        assert any(MODEL.weights_sha256 in text for text in told)


def test_air_a05_a_device_observed_and_nobody_verified():
    assert_kept("A5")
    report = chest().report
    assert (report.CompletionFlag, report.PreliminaryFlag) == ("COMPLETE", "PRELIMINARY")
    assert "VerifyingObserverSequence" not in report


def test_air_a06_the_imaging_procedure_is_reported_and_every_image_is_in_the_library():
    assert_kept("A6")
    bundle = ct()
    assert [value_code(item) for item in items_named(bundle.report, "121058")] == ["363679005"]
    (library,) = items_named(bundle.report, "111028")
    images = {
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for item in walk(library)
        if item.ValueType == "IMAGE"
    }
    assert images == {ds.SOPInstanceUID for ds in bundle.sources.current}


def test_air_a07_what_is_absent_is_said_and_so_is_a_reading_that_found_nothing():
    assert_kept("A7", "R2", "R3")
    ds = header()
    absent = tuple(f for f in chest_reading(ds).findings if f.presence == "absent")
    reading = Reading(chest().reading.modality, MODEL, (Task.CLASSIFICATION,), findings=absent)
    report = only(write_results(reading, sources(ds), RUN, Profile.OHIF))
    assert groups(report) == []
    answers = {name_code(item) for item in walk(report) if value_code(item) == "272519000"}
    assert answers == {codes.CONCEPTS[finding.label].code.value for finding in absent}


def test_air_a08_numbers_have_units_and_name_what_they_measure():
    assert_kept("A8", "A8b")


def test_air_a09_coordinates_lie_inside_their_image_and_name_its_frame():
    assert_kept("A9", "R1")
    ds = header("1.2.840.10008.5.1.4.1.1.7.3", NumberOfFrames=3, ConversionType="DI")
    reading = replace(chest_reading(ds), masks=(), findings=(), boxes=(box("heart", ds),))
    (region,) = items_named(built(reading, sources(ds), Profile.OHIF).report, "111030")
    assert region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedFrameNumber == 1


def test_air_a10_segments_are_coded_automatic_and_on_their_source():
    assert_kept("A10", "A10b", "A10c")
    source, segmentation = ct().sources.current[0], only(ct().of("SEG"))
    assert segmentation.FrameOfReferenceUID == source.FrameOfReferenceUID


def test_air_a11_segmentations_are_read_back_and_none_is_a_label_map(tmp_path: Path):
    """What dciodvfy says of them is check 1."""
    segmentations = [ds for ds in every_result() if ds.Modality == "SEG"]
    assert {ds.SOPClassUID for ds in segmentations} == {SegmentationStorage}
    for ds in segmentations:
        assert hd.seg.segread(write(ds, tmp_path)).number_of_segments == len(ds.SegmentSequence)


def test_air_a12_report_and_segments_are_tracked_alike_and_name_their_series():
    assert_kept("A12")
    series = {item.UID for item in items_named(ct().report, "121232")}
    assert series == {ct().sources.current[0].SeriesInstanceUID}


def test_air_a14_a_lesion_keeps_its_uid_from_study_to_study_and_shares_it_with_none():
    assert_kept("A14")
    first = header()
    second = header(StudyInstanceUID="1.2.3.7", SeriesInstanceUID="1.2.3.7.1", SOPInstanceUID="1.2.3.7.1.1")
    stranger = header(PatientID="P2", StudyInstanceUID="1.2.3.8")
    nodule = codes.CONCEPTS["lung nodule"].code.value
    uids = []
    for ds in (first, second, stranger):
        report = built(chest_reading(ds), sources(ds), Profile.OHIF).report
        uids.append(
            {
                item.UID
                for group in groups(report)
                if any(value_code(each) == nodule for each in children(group, codes.FINDING))
                for item in children(group, TRACKING_UID)
            }
        )
    assert uids[0] == uids[1]
    assert uids[0].isdisjoint(uids[2])


def test_air_a15_priors_are_other_evidence_and_nothing_is_named_unlisted():
    assert_kept("A15")
    bundle = chest()
    priors = {str(ds.SOPInstanceUID) for prior in bundle.sources.priors for ds in prior.instances}
    assert listed(bundle.report, OTHER) == priors
    assert listed(bundle.report, CURRENT).isdisjoint(priors)


@pytest.mark.parametrize("modality", ["SEG", "PR", "KO", "SR"])
def test_air_a16_the_report_lists_every_object_and_misses_one_that_is_gone(modality: str):
    assert_kept("A16")
    bundle = chest()
    sent = write_bundles(bundle.reading, bundle.sources, RUN, (Profile.FULL,))[Profile.FULL]
    others = {str(ds.SOPInstanceUID) for ds in sent[:-1]}
    assert others <= listed(sent[-1], CURRENT)
    left = [ds for ds in sent if ds.Modality != modality or ds is sent[-1]]
    assert len(left) == len(sent) - 1
    assert publication_faults(sent, bundle.sources, bundle.reading) == []
    assert "SR: refers to an instance that is neither a source nor a result" in publication_faults(
        left, bundle.sources, bundle.reading
    )


def test_air_a17_a_change_is_placed_in_time_and_has_a_baseline():
    assert_kept("A17")
    changed = [group for group in groups(chest().report) if any(children(group, codes.CHANGED_STATUS))]
    assert len(changed) == 2
    for group in changed:
        (when,) = (item for item in group.ContentSequence if is_named(item, codes.TIME_POINT))
        assert when.TextValue == "2026-03-01"
        (order,) = (item for item in group.ContentSequence if name_code(item) == "126073")
        assert float(order.MeasuredValueSequence[0].NumericValue) == 2


def test_air_a18_a_correction_names_its_predecessor_and_nothing_is_rejected_unasked():
    assert_kept("A18")
    ds = header()
    given = sources(ds, priors=[prior_of(ds)])
    reading = chest_reading(ds, [grown_nodule()])
    first = built(reading, given, Profile.OHIF).report
    again = write_results(reading, given, replace(RUN, revision=2, predecessor=first), Profile.OHIF)[-1]
    assert listed(again, "PredecessorDocumentsSequence") == {first.SOPInstanceUID}
    assert again.SOPInstanceUID != first.SOPInstanceUID
    assert not {name_code(each) for each in every_result() if each.Modality == "KO"} & REJECTION_NOTES

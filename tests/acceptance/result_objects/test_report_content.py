"""Checks 13 and 15 to 20: what groups, findings, changes and numbers of a report are like."""

import math
from collections.abc import Iterator
from pathlib import Path

import highdicom as hd
import pytest
from pydicom.dataset import Dataset

from model.reading import Presence
from structured_reports import codes
from structured_reports.content_tree import children, code_of, groups, is_named, value_code, walk
from structured_reports.errors import EvidenceError
from structured_reports.registry import write_results
from tests.acceptance.result_objects.objects import REPORTS, chest, ct, only, skin, write
from tests.unit.structured_reports.readings import RUN, chest_reading, grown_nodule, header, sources

PRESENT, ABSENT, UNDETERMINED, RESOLVED = "52101004", "272519000", "373068000", "413322009"


def all_groups() -> Iterator[Dataset]:
    for make in REPORTS.values():
        yield from groups(make())


@pytest.mark.parametrize(
    ("name", "planar", "volumetric", "image"),
    [
        ("findings", 0, 0, 3),
        ("boxes", 1, 0, 0),
        ("volumes", 0, 3, 0),
        ("DX", 8, 0, 4),
        ("CT", 1, 3, 0),
        ("dermoscopy", 2, 0, 1),
    ],
)
def test_check_13_highdicom_reads_the_groups_that_were_built(
    name: str, planar: int, volumetric: int, image: int, tmp_path: Path
):
    content = hd.sr.srread(write(REPORTS[name](), tmp_path)).content
    for find, expected in (
        (content.get_planar_roi_measurement_groups, planar),
        (content.get_volumetric_roi_measurement_groups, volumetric),
        (content.get_image_measurement_groups, image),
    ):
        found = find()
        assert len(found) == expected
        assert all(len(find(tracking_uid=group.tracking_uid)) == 1 for group in found)


def test_check_15_no_group_with_coordinates_holds_a_number():
    boxed = [group for group in all_groups() if any(each.ValueType == "SCOORD" for each in walk(group))]
    assert len(boxed) == 1 + 5 + 1 + 1
    assert not [each for group in boxed for each in walk(group) if each.ValueType == "NUM"]


def test_check_16_what_is_absent_is_an_answer_and_never_a_finding():
    bundle = chest()
    absent = {
        codes.CONCEPTS[finding.label].code.value
        for finding in bundle.reading.findings
        if finding.presence is Presence.ABSENT
    }
    assert len(absent) == 2
    stated = {
        code_of(group, codes.FINDING)
        for group in groups(bundle.report)
        if code_of(group, codes.CHANGED_STATUS) != RESOLVED
    }
    assert not stated & absent
    answers = {each.ConceptNameCodeSequence[0].CodeValue for each in walk(bundle.report)
               if value_code(each) == ABSENT and not is_named(each, codes.PRESENCE)}  # fmt: skip
    assert answers == absent


def test_check_16_a_class_that_was_not_chosen_is_stated_by_no_code():
    """One class of several excludes the others by construction: that is no answer that they are absent."""
    report = skin().report
    said = {value_code(each) for each in walk(report)}
    assert codes.CONCEPTS["melanoma"].code.value not in said
    assert ABSENT not in said


def test_check_17_every_change_has_a_baseline_among_other_evidence():
    report = chest().report
    listed = {
        image.ReferencedSOPInstanceUID
        for study in report.PertinentOtherEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for image in series.ReferencedSOPSequence
    }
    changed = [group for group in groups(report) if code_of(group, codes.CHANGED_STATUS)]
    assert len(changed) == 2
    for group in changed:
        (baseline,) = children(group, codes.BASELINE)
        assert baseline.ReferencedSOPSequence[0].ReferencedSOPInstanceUID in listed


def test_check_17_a_change_since_an_unknown_prior_is_refused():
    ds = header()
    with pytest.raises(EvidenceError):
        write_results(chest_reading(ds, [grown_nodule()]), sources(ds), RUN)


def test_check_18_changes_and_presences_are_of_the_reviewed_tables():
    # New, increased, decreased, no change, resolved; the worse and improved of the table are not said.
    reviewed = {"7147002", "35105006", "1250004", "260388006", RESOLVED}
    changes = {code_of(group, codes.CHANGED_STATUS) for group in all_groups()} - {""}
    presences = {code_of(group, codes.PRESENCE) for group in all_groups()} - {""}
    assert changes == {"35105006", RESOLVED}
    assert presences == {PRESENT, ABSENT, UNDETERMINED}
    assert {code.value for code in codes.CHANGES.values()} == reviewed


def test_check_19_a_certainty_is_a_percentage_with_at_most_one_decimal():
    certainties = [
        each for make in REPORTS.values() for each in walk(make()) if is_named(each, codes.CERTAINTY)
    ]
    assert len(certainties) == 2 + 2 + 1
    for each in certainties:
        (measured,) = each.MeasuredValueSequence
        (unit,) = measured.MeasurementUnitsCodeSequence
        value = float(measured.NumericValue)
        assert math.isfinite(value)
        assert 0 <= value <= 100
        assert value == round(value, 1)
        assert (unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning) == ("%", "UCUM", "Percent")


def test_check_20_a_volume_is_that_of_the_segment_in_the_file(tmp_path: Path):
    bundle = ct()
    volume = hd.seg.segread(write(only(bundle.of("SEG")), tmp_path)).get_volume(combine_segments=False)
    measured = [group for group in groups(bundle.report) if any(children(group, codes.VOLUME))]
    assert len(measured) == 3
    for group in measured:
        (segment,) = (each for each in walk(group) if each.ConceptNameCodeSequence[0].CodeValue == "121191")
        number = int(segment.ReferencedSOPSequence[0].ReferencedSegmentNumber)
        (said,) = children(group, codes.VOLUME)
        (value,) = said.MeasuredValueSequence
        voxels = int(volume.array[..., number - 1].sum())
        assert float(value.NumericValue) == pytest.approx(voxels * volume.voxel_volume / 1000, rel=1e-3)
        assert value.MeasurementUnitsCodeSequence[0].CodeValue == "cm3"

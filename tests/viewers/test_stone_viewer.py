"""Profile `stone` keeps to what Orthanc's Stone Web Viewer reads: it draws every box, throws at no report."""

import pytest
from pydicom.dataset import Dataset

from structured_reports.profiles import Profile
from structured_reports.registry import write_results
from tests.unit.structured_reports.readings import RUN, child, groups, items, name_of
from tests.viewers.shown_readings import SHOWN, Shown, corners_of
from tests.viewers.stone_reader import StoneError, drawn_by_stone


def written(shown: Shown, profile: Profile = Profile.STONE) -> Dataset:
    return write_results(shown.reading, shown.sources, RUN, profile)[-1]


@pytest.mark.parametrize("case", SHOWN)
def test_every_box_is_drawn_on_its_frame(case: str) -> None:
    shown = SHOWN[case]()
    expected = [(box.frame, corners_of(box, shown.image_of(box))) for _, box in shown.boxes()]
    drawn = drawn_by_stone(written(shown))
    assert all(line.points[0] == line.points[-1] and len(line.points) == 5 for line in drawn)
    read = [(line.frame, sorted((round(x, 2), round(y, 2)) for x, y in line.points[:4])) for line in drawn]
    assert sorted(read, key=str) == sorted(expected, key=str)


@pytest.mark.parametrize("case", SHOWN)
def test_every_instance_is_evidence_once(case: str) -> None:
    (study,) = written(SHOWN[case]()).CurrentRequestedProcedureEvidenceSequence
    listed = [
        reference.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    ]
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("case", SHOWN)
def test_every_group_names_its_template(case: str) -> None:
    """The viewer gives a report up at a group without one."""
    for group in groups(written(SHOWN[case]())):
        (template,) = group.ContentTemplateSequence
        assert template.MappingResource == "DCMR"
        assert template.TemplateIdentifier in {"1410", "1411", "1501"}


@pytest.mark.parametrize("case", SHOWN)
def test_every_concept_has_a_code_value_of_its_own(case: str) -> None:
    """A Long Code Value or URN Code Value in its place ends the reading."""
    for item in items(written(SHOWN[case]())):
        assert all(code.get("CodeValue") for code in item.get("ConceptNameCodeSequence", ()))


def test_a_region_names_one_original_source() -> None:
    report = written(SHOWN["whole vocabulary"]())
    selected = [item for item in items(report) if item.get("RelationshipType") == "SELECTED FROM"]
    assert selected
    assert {name_of(item) for item in selected} == {"111040"}
    assert {len(item.ReferencedSOPSequence) for item in selected} == {1}


def test_the_report_for_other_viewers_is_text_to_it() -> None:
    """Comprehensive 3D SR: why there is a profile for this viewer."""
    assert drawn_by_stone(written(SHOWN["DX"](), Profile.AIR)) == []


def test_a_source_by_another_name_is_not_drawn() -> None:
    report = written(SHOWN["boxes alone"]())
    before = len(drawn_by_stone(report))
    region = next(child(group, "111030") for group in groups(report) if child(group, "111030") is not None)
    assert region is not None
    region.ContentSequence[0].ConceptNameCodeSequence[0].CodeValue = "260753009"
    assert len(drawn_by_stone(report)) == before - 1


def test_an_instance_listed_twice_costs_the_whole_report() -> None:
    report = written(SHOWN["DX"]())
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    series = study.ReferencedSeriesSequence[0]
    series.ReferencedSOPSequence.append(series.ReferencedSOPSequence[0])
    with pytest.raises(StoneError, match="twice"):
        drawn_by_stone(report)

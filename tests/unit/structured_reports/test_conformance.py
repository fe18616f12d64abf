"""The gate lets good objects through and names every fault of bad ones."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset

from model.reading import Finding, Laterality, Presence
from structured_reports import conformance
from structured_reports.conformance import publication_faults, validate_file
from structured_reports.registry import write_results
from structured_reports.sources import Sources
from tests.unit.structured_reports.readings import (
    RUN,
    chest_reading,
    child,
    ct_reading,
    ct_slices,
    dermoscopy,
    groups,
    grown_nodule,
    header,
    items,
    name_of,
    prior_of,
    skin_reading,
    sources,
)

SOURCE = header()
READING = chest_reading(SOURCE, [grown_nodule()])
SOURCES = sources(SOURCE, priors=[prior_of(SOURCE)])


@pytest.fixture
def results(chest_results: tuple[Dataset, ...]) -> list[Dataset]:
    return [deepcopy(ds) for ds in chest_results]


def faults(results: list[Dataset], given: Sources = SOURCES) -> str:
    return "\n".join(publication_faults(results, given, READING))


def test_good_objects_have_no_fault(results: list[Dataset]):
    assert faults(results) == ""


def test_ct_and_skin_have_no_fault(ct_results: tuple[Dataset, ...], skin_results: tuple[Dataset, ...]):
    slices, photo = ct_slices(), dermoscopy()
    assert publication_faults(ct_results, sources(*slices), ct_reading(slices)) == []
    assert publication_faults(skin_results, sources(photo), skin_reading(photo)) == []


def test_verified_report_is_held_back(results: list[Dataset]):
    results[-1].VerificationFlag = "VERIFIED"
    assert "claims to be verified" in faults(results)


def test_final_report_is_held_back(results: list[Dataset]):
    results[-1].PreliminaryFlag = "FINAL"
    assert "preliminary" in faults(results)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_object_not_marked_research_is_held_back(place: int, results: list[Dataset]):
    results[place].ContentQualification = "PRODUCT"
    assert "RESEARCH" in faults(results)


def test_description_without_ai_is_held_back(results: list[Dataset]):
    results[0].SeriesDescription = "Segments"
    assert "Series Description" in faults(results)


def test_object_without_weights_is_held_back(results: list[Dataset]):
    del results[0].ContributingEquipmentSequence
    assert "does not name the model" in faults(results)


def test_report_without_disclaimer_is_held_back(results: list[Dataset]):
    for item in items(results[-1]):
        if item.ValueType == "TEXT" and "Research use only" in item.TextValue:
            item.TextValue = "ok"
    assert "does not say what it is" in faults(results)


@pytest.mark.parametrize("keyword", ["PatientID", "PatientName", "AccessionNumber", "StudyID"])
def test_object_of_another_patient_is_held_back_without_saying_whose(keyword: str, results: list[Dataset]):
    setattr(results[1], keyword, "OTHER")
    assert f"{keyword} differs" in faults(results)
    assert "OTHER" not in faults(results)
    assert "Doe" not in faults(results)


def test_object_of_another_study_is_held_back(results: list[Dataset]):
    results[0].StudyInstanceUID = "1.2.3.5"
    assert "another study" in faults(results)


def test_reference_to_something_unknown_is_held_back(results: list[Dataset]):
    region = next(item for item in items(results[-1]) if name_of(item) == "111030")
    region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3.666"
    assert "neither a source nor a result" in faults(results)


def test_reference_under_another_class_is_held_back(results: list[Dataset]):
    region = next(item for item in items(results[-1]) if name_of(item) == "111030")
    region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    assert "another SOP class" in faults(results)


def test_report_without_its_segmentation_is_held_back(results: list[Dataset]):
    assert "neither a source nor a result" in faults(results[1:])


def test_box_outside_the_image_is_held_back(results: list[Dataset]):
    region = next(item for item in items(results[-1]) if name_of(item) == "111030")
    region.GraphicData = [0, 0, 49, 0, 49, 65, 0, 65, 0, 0]
    assert "leaves its image sideways" in faults(results)
    assert "leaves its image upwards or downwards" in faults(results)


def test_comparison_without_prior_is_held_back(results: list[Dataset]):
    found = faults(results, sources(SOURCE))
    assert "a comparison names a prior that was not supplied" in found
    assert "a change is coded without a prior image" in found


def test_missing_side_is_held_back(results: list[Dataset]):
    for group in groups(results[-1]):
        site = child(group, "363698007")
        if site is not None and "ContentSequence" in site:
            del site.ContentSequence
    assert "not with its side" in faults(results)


def test_absent_finding_stated_as_present_is_held_back(results: list[Dataset]):
    finding = child(groups(results[-1])[0], "121071")
    assert finding is not None
    finding.ConceptCodeSequence[0].CodeValue = "95436008"
    assert "called absent is said to be there" in faults(results)


def test_finding_absent_on_one_side_and_present_on_the_other_may_go_out():
    both = (
        Finding("pleural effusion", Presence.PRESENT, 0.9, Laterality.LEFT),
        Finding("pleural effusion", Presence.ABSENT, 0.9, Laterality.RIGHT),
    )
    reading = replace(chest_reading(SOURCE), findings=both)
    given = sources(SOURCE)
    assert publication_faults(write_results(reading, given, RUN), given, reading) == []


@pytest.mark.parametrize("text", ["a\x00b", "a\x1bb", "a\x85b"])
def test_control_characters_are_held_back(text: str, results: list[Dataset]):
    results[0].ContentDescription = text
    assert "control characters" in faults(results)


def test_private_attribute_is_held_back(results: list[Dataset]):
    results[0].private_block(0x0009, "ACME", create=True).add_new(0x01, "LO", "x")
    assert "private" in faults(results)


def test_without_dciodvfy_pydicom_judges(
    monkeypatch: pytest.MonkeyPatch, results: list[Dataset], tmp_path: Path
):
    monkeypatch.setattr(conformance, "VALIDATOR", "no-such-validator")
    path = tmp_path / "object.dcm"
    dcmwrite(path, results[0], enforce_file_format=True)
    verdict = validate_file(path)
    assert verdict.validator == "pydicom"
    assert verdict.is_valid
    path.write_bytes(b"not a DICOM file")
    assert not validate_file(path).is_valid


def test_without_dciodvfy_an_unmarked_object_is_not_valid(
    monkeypatch: pytest.MonkeyPatch, results: list[Dataset], tmp_path: Path
):
    monkeypatch.setattr(conformance, "VALIDATOR", "no-such-validator")
    results[0].ContentQualification = "PRODUCT"
    dcmwrite(tmp_path / "object.dcm", results[0], enforce_file_format=True)
    assert not validate_file(tmp_path / "object.dcm").is_valid


def test_further_source_of_another_patient_is_held_back(results: list[Dataset]):
    stranger = header(SOPInstanceUID="1.2.3.4.1.2", PatientID="P2")
    assert "belongs to another patient" in faults(results, replace(SOURCES, current=(SOURCE, stranger)))


def test_further_source_may_lack_what_the_first_has(results: list[Dataset]):
    sparse = header(SOPInstanceUID="1.2.3.4.1.2", AccessionNumber="", StudyID="")
    assert faults(results, replace(SOURCES, current=(SOURCE, sparse))) == ""

"""Checks 21 to 25: every code is a reviewed one, every object says what made it and in which language."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dictionary
from pydicom.sr.coding import Code

from model.reading import Finding, Narrative, Presence
from structured_reports import codes
from structured_reports.content_tree import groups, value_code, walk
from structured_reports.profiles import Profile
from structured_reports.registry import write_results
from tests.acceptance.result_objects.objects import BUNDLES, every_result
from tests.unit.structured_reports.readings import MODEL, RUN, chest_reading, header, reread, sources, texts
from tests.unit.structured_reports.whole_readings import whole_reading
from tests.verhoeff import is_concept_identifier

NOT_CARDIOMEGALY = "287272002"
"""Enlarged septal foramen of heart, which pydicom's dictionary calls cardiomegaly."""


def coded(ds: Dataset) -> Iterator[Code]:
    """Yield every code in an object, wherever it stands."""
    for element in ds.iterall():
        if element.VR == "SQ":
            for item in element.value:
                if "CodeValue" in item:
                    yield Code(item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning)


def reviewed() -> set[str]:
    """List the SNOMED CT codes of the project's table and of PS3.16 as pydicom has it."""
    own = {
        *(value for value in vars(codes).values() if isinstance(value, Code)),
        *(code for concept in codes.CONCEPTS.values() for code in (concept.code, concept.site)),
        *codes.PRESENCES.values(),
        *codes.SIDES.values(),
        *codes.CHANGES.values(),
    }
    standard = {getattr(dictionary.SCT, name).value for name in dictionary.SCT.dir()} - {NOT_CARDIOMEGALY}
    return {code.value for code in own if code.scheme_designator == "SCT"} | standard


def test_check_21_every_snomed_code_is_well_formed_and_reviewed():
    ds = header()
    whole = write_results(whole_reading(ds), sources(ds), RUN, Profile.FULL)
    used = {code.value for each in (*every_result(), *whole) for code in coded(each)
            if code.scheme_designator == "SCT"}  # fmt: skip
    assert len(used) > 50
    assert [value for value in used if not is_concept_identifier(value)] == []
    assert used - reviewed() == set()
    assert NOT_CARDIOMEGALY not in used


def test_check_22_a_label_without_reviewed_code_is_said_in_a_declared_local_scheme():
    ds = header()
    finding = Finding("mitral annular calcification", Presence.PRESENT, 0.8)
    reading = replace(chest_reading(ds), findings=(finding,))
    report = write_results(reading, sources(ds), RUN)[-1]
    local = [code for code in coded(report) if code.meaning == finding.label]
    assert len(local) >= 1
    assert {code.scheme_designator for code in local} == {"99MEDVERSA"}
    assert all(len(code.value) <= 16 for code in coded(report) if code.scheme_designator == "99MEDVERSA")
    declared = [item.CodingSchemeDesignator for item in report.CodingSchemeIdentificationSequence]
    assert declared.count("99MEDVERSA") == 1


@pytest.mark.parametrize("name", BUNDLES)
def test_check_23_every_report_and_segment_identifies_its_algorithm(name: str):
    bundle = BUNDLES[name]()
    for report in bundle.of("SR"):
        assert texts(report, "111001") == [MODEL.name]
        assert all(MODEL.weights_sha256[:16] in version for version in texts(report, "111003"))
        families = [
            value_code(each) for each in walk(report) if each.ConceptNameCodeSequence[0].CodeValue == "111000"
        ]
        assert families == ["123110"]
    for segment in (segment for ds in bundle.of("SEG") for segment in ds.SegmentSequence):
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert algorithm.AlgorithmName == MODEL.name
        assert MODEL.weights_sha256[:16] in algorithm.AlgorithmVersion
        assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"


def test_check_24_nothing_claims_to_be_verified_final_or_observed_by_a_person():
    for ds in every_result():
        assert ds.ContentQualification == "RESEARCH"
        assert "VerifyingObserverSequence" not in ds
        if ds.Modality == "SR":
            assert (ds.VerificationFlag, ds.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
            observers = [
                value_code(each) for each in walk(ds) if each.ConceptNameCodeSequence[0].CodeValue == "121005"
            ]
            assert observers == ["121007"], "an observer is a device (PS3.16 CID 270)"


@pytest.mark.parametrize(
    ("language", "text"), [("ru", "Узел в правом лёгком, 8 мм."), ("ja", "右肺に結節を認める。")]
)
def test_check_25_the_report_says_its_language_and_keeps_every_letter(
    language: str, text: str, tmp_path: Path
):
    ds = header()
    reading = replace(chest_reading(ds), narrative=Narrative(text, text))
    results = write_results(reading, sources(ds), replace(RUN, language=language), Profile.FULL)
    for report in (reread(each, tmp_path) for each in results if each.Modality == "SR"):
        assert texts(report, "121073") == [text]
        said = [
            each for each in report.ContentSequence if each.ConceptNameCodeSequence[0].CodeValue == "121049"
        ]
        assert [value_code(each) for each in said] == [language]
    assert len(groups(results[-1])) > 0

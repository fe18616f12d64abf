"""The rejection note as IHE IOCM and PS3.16 TID 2010 have it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread, dcmwrite

from structured_reports.checks.bundle import evidence_of, references_of
from structured_reports.conformance import validate_file
from structured_reports.errors import SourceError
from structured_reports.products import PRODUCTS
from structured_reports.withdrawal import Ground, rejection_note
from tests.unit.structured_reports.readings import header, items

AT = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)


def note_on(results: tuple[Dataset, ...], ground: Ground = Ground.PATIENT_SAFETY) -> Dataset:
    return rejection_note(results, ground, decided_at=AT, software_version="0.1.0")


@pytest.mark.parametrize(
    ("ground", "value", "meaning"),
    [
        (Ground.PATIENT_SAFETY, "113037", "Rejected for Patient Safety Reasons"),
        (Ground.QUALITY, "113001", "Rejected for Quality Reasons"),
    ],
)
def test_the_title_is_what_archives_act_on(
    chest_results: tuple[Dataset, ...], ground: Ground, value: str, meaning: str
) -> None:
    """PS3.16 CID 7010."""
    (title,) = note_on(chest_results, ground).ConceptNameCodeSequence
    assert (title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning) == (value, "DCM", meaning)


def test_it_names_what_is_withdrawn_and_nothing_else(chest_results: tuple[Dataset, ...]) -> None:
    note = note_on(chest_results)
    expected = {(str(ds.SOPClassUID), str(ds.SOPInstanceUID)) for ds in chest_results}
    assert {(each.sop_class_uid, each.sop_instance_uid) for each in references_of(note)} == expected
    listed = list(evidence_of(note, "CurrentRequestedProcedureEvidenceSequence"))
    assert {(each.sop_class_uid, each.sop_instance_uid) for _, each in listed} == expected
    assert {study for study, _ in listed} == {"1.2.3.4"}
    kinds = {
        str(item.ReferencedSOPSequence[0].ReferencedSOPClassUID): item.ValueType
        for item in items(note)
        if "ReferencedSOPSequence" in item
    }
    assert kinds == {
        "1.2.840.10008.5.1.4.1.1.66.4": "IMAGE",
        "1.2.840.10008.5.1.4.1.1.11.1": "COMPOSITE",
        "1.2.840.10008.5.1.4.1.1.88.34": "COMPOSITE",
    }


def test_it_is_filed_in_the_study_in_a_series_of_its_own(chest_results: tuple[Dataset, ...]) -> None:
    note, source = note_on(chest_results), header()
    product = PRODUCTS["rejection note"]
    assert (note.SOPClassUID,) == product.sop_classes
    assert (note.Modality, note.SeriesNumber) == (product.modality, product.series_number)
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber", "StudyID"):
        assert note[keyword].value == source[keyword].value
    assert note.SeriesInstanceUID not in {ds.SeriesInstanceUID for ds in chest_results}
    assert note.ContentQualification == "RESEARCH"
    assert (note.ContentDate, note.ContentTime) == ("20261126", "093000")


def test_it_is_valid(chest_results: tuple[Dataset, ...], tmp_path: Path) -> None:
    path = tmp_path / "note.dcm"
    dcmwrite(path, note_on(chest_results), enforce_file_format=True)
    verdict = validate_file(path)
    assert verdict.errors == (), verdict.validator
    assert dcmread(path).to_json_dict() == note_on(chest_results).to_json_dict()


def test_the_same_decision_is_the_same_object_and_another_is_another(
    chest_results: tuple[Dataset, ...],
) -> None:
    note = note_on(chest_results)
    assert note_on(chest_results).SOPInstanceUID == note.SOPInstanceUID
    assert note_on(chest_results[:1]).SeriesInstanceUID != note.SeriesInstanceUID


def test_only_our_own_results_of_one_study_are_withdrawn(
    chest_results: tuple[Dataset, ...], ct_results: tuple[Dataset, ...]
) -> None:
    moved = Dataset()
    moved.update(ct_results[0])
    moved.StudyInstanceUID = "1.2.3.5"
    for results in ((), (header(),), (*chest_results, moved)):
        with pytest.raises(SourceError):
            note_on(results)

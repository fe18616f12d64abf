"""Which earlier studies are worth comparing with."""

from dataclasses import replace

import pytest

from dicom_node.admission import Patient
from dicom_node.priors.relevance import names_a_patient, relevant
from dicom_node.priors.source import Candidate
from dicom_node.study import StudyInstanceUID

PATIENT = Patient("P1", "HOSPITAL", "19500101", "F")
CURRENT = Candidate(StudyInstanceUID("1.1"), "20260310", "101500", ("DX",), ("CHEST",), (), PATIENT)
EARLIER = replace(CURRENT, study_instance_uid=StudyInstanceUID("1.2"), study_date="20260124")


def test_choice_says_why_in_words_without_identity() -> None:
    (choice,) = relevant(CURRENT, [EARLIER])

    assert choice.why == "same modality group (radiograph), same body part (chest), 45 days before"


@pytest.mark.parametrize(
    "change",
    [
        {"study_date": "20260311"},
        {"study_date": "20260310"},
        {"study_date": "20260310", "study_time": ""},
        {"study_date": "20260310", "study_time": "101500.5"},
        {"study_date": ""},
        {"study_date": "2026XX01"},
        {"study_date": "20260231"},
        {"modalities": ("CT",)},
        {"body_parts": ("HAND",)},
        {"body_parts": (), "descriptions": ("Knee left",)},
        {"patient": replace(PATIENT, patient_id="P2")},
        {"patient": replace(PATIENT, issuer="ELSEWHERE")},
        {"patient": replace(PATIENT, birth_date="19500102")},
        {"patient": replace(PATIENT, sex="M")},
        {"study_instance_uid": CURRENT.study_instance_uid},
    ],
)
def test_what_is_not_comparable_is_left_out(change: dict[str, object]) -> None:
    assert relevant(CURRENT, [replace(EARLIER, **change)]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"modalities": ("CR",)},
        {"modalities": ("OT", "DX")},
        {"modalities": ("OT",)},
        {"body_parts": ("THORAX",)},
        {"body_parts": (), "descriptions": ("CXR PA",)},
        {"body_parts": ()},
        {"study_date": "20260310", "study_time": "101459"},
        {"patient": replace(PATIENT, birth_date="", sex="")},
    ],
)
def test_what_is_comparable_is_found(change: dict[str, object]) -> None:
    assert len(relevant(CURRENT, [replace(EARLIER, **change)])) == 1


def test_newest_comes_first() -> None:
    dates = ["20240101", "20260309", "20250601"]
    candidates = [
        replace(EARLIER, study_instance_uid=StudyInstanceUID(f"2.{n}"), study_date=date)
        for n, date in enumerate(dates)
    ]

    chosen = [choice.candidate.study_date for choice in relevant(CURRENT, candidates)]

    assert chosen == ["20260309", "20250601", "20240101"]


def test_neither_modality_nor_body_part_known_is_not_enough() -> None:
    vague = replace(EARLIER, modalities=("OT",), body_parts=(), descriptions=())

    assert relevant(CURRENT, [vague]) == []


@pytest.mark.parametrize("patient_id", ["", "UNKNOWN", "unknown", "Anonymous", "000000", "N/A", "0", "-"])
def test_placeholder_ids_name_nobody(patient_id: str) -> None:
    assert not names_a_patient(patient_id)
    nobody = replace(PATIENT, patient_id=patient_id)
    assert relevant(replace(CURRENT, patient=nobody), [replace(EARLIER, patient=nobody)]) == []


@pytest.mark.parametrize("patient_id", ["1", "00000011", "P-17", "MARIA"])
def test_real_ids_name_a_patient(patient_id: str) -> None:
    assert names_a_patient(patient_id)

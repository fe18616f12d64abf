"""Whose an earlier study is; in doubt, somebody else's."""

from dataclasses import replace

import pytest

from dicom_node.admission import Patient
from dicom_node.priors.identity import names_a_patient, names_agree, why_another_patient
from dicom_node.priors.source import Candidate
from dicom_node.study import StudyInstanceUID

ANNA = Patient("P1", "HOSPITAL", "19500101", "F")
CURRENT = Candidate(
    StudyInstanceUID("1.1"), "20260310", "101500", ("DX",), ("CHEST",), (), ANNA, "Meier^Anna"
)


def earlier(name: str = "Meier^Anna", **identity: str) -> Candidate:
    return replace(CURRENT, patient=replace(ANNA, **identity), patient_name=name)


@pytest.mark.parametrize("patient_id", ["", "UNKNOWN", "unknown", "Anonymous", "000000", "N/A", "0", "-"])
def test_placeholder_ids_name_nobody(patient_id: str) -> None:
    assert not names_a_patient(patient_id)
    nobody = earlier(patient_id=patient_id)
    assert why_another_patient(nobody, nobody) == "the Patient ID names nobody"


@pytest.mark.parametrize("patient_id", ["1", "00000011", "P-17", "MARIA"])
def test_real_ids_name_a_patient(patient_id: str) -> None:
    assert names_a_patient(patient_id)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (earlier(patient_id="P2"), "another Patient ID"),
        (earlier(issuer="ELSEWHERE"), "same Patient ID of another issuer"),
        (earlier(birth_date="19500110"), "same Patient ID with another birth date"),
        (earlier(sex="M"), "same Patient ID with another sex"),
        (earlier("Huber^Karla"), "same Patient ID with another name"),
    ],
)
def test_what_contradicts_makes_another_patient(other: Candidate, why: str) -> None:
    assert why_another_patient(CURRENT, other) == why
    assert why_another_patient(other, CURRENT) == why


@pytest.mark.parametrize(
    "other",
    [
        earlier(),
        earlier("Meier-Schmidt^Anna^Maria"),
        earlier(""),
        earlier(birth_date="", sex=""),
        earlier(issuer=""),
        earlier(issuer="", birth_date=""),
        earlier("", issuer="", sex="O"),
    ],
)
def test_what_is_left_out_contradicts_nothing_while_something_bears_the_number_out(other: Candidate) -> None:
    assert why_another_patient(CURRENT, other) == ""


def test_number_alone_is_not_enough() -> None:
    bare = earlier("", issuer="", birth_date="")

    assert why_another_patient(CURRENT, bare) == "nothing but the Patient ID says whose it is"


def test_reason_names_nobody() -> None:
    other = earlier("Huber^Karla")

    assert not {"Huber", "Meier", "P1"} & set(why_another_patient(CURRENT, other).split())


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ("Meier^Anna", "MEIER^ANNA", True),
        ("Müller^Jörg", "Muller^Jorg", True),
        ("Anna Meier", "Meier^Anna", True),
        ("Meier^Anna", "Schmidt^Anna", True),
        ("Meier^Anna", "Huber^Karla", False),
        ("Yamada^Tarou=山田^太郎", "=山田^太郎", True),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada^Tarou", True),
        ("Li^Ming=李^明", "=李^明", True),
        ("=李^明", "=王^芳", False),
        ("Yamada^Tarou", "=山田^太郎", None),
        ("Meier^Anna", "", None),
        ("", "", None),
    ],
)
def test_names_are_compared_by_words(one: str, other: str, verdict: bool | None) -> None:
    """The Japanese example is that of PS3.5 Annex H.3."""
    assert names_agree(one, other) is verdict

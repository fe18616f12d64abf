"""Pure rule: whether an earlier study is of the same patient. What is doubtful is another patient."""

import re
import unicodedata
from typing import Final

from dicom_node.priors.source import Candidate

PLACEHOLDER_IDS: Final = frozenset(
    ("UNKNOWN", "ANONYMOUS", "ANONYMIZED", "ANON", "NONE", "NA", "NULL", "NOID", "TEST", "X", "")
)
"""Patient IDs that name nobody, compared without case, punctuation and zeros."""


def names_a_patient(patient_id: str) -> bool:
    """Say whether a Patient ID can tell patients apart."""
    plain = re.sub(r"[\W_]", "", patient_id).upper()
    return plain.strip("0") not in PLACEHOLDER_IDS


def why_another_patient(current: Candidate, earlier: Candidate) -> str:
    """Say why an earlier study is not taken for one of the same patient; empty if it is.

    A Patient ID alone proves nothing: it is unique within its issuer only (PS3.3 C.2.2), and numbers are
    mistyped and given twice. What both studies state must agree, and issuer, birth date or name must bear
    the number out.
    """
    one, other = current.patient, earlier.patient
    if not names_a_patient(one.patient_id):
        return "the Patient ID names nobody"
    if one.patient_id != other.patient_id:
        return "another Patient ID"
    if _differ(one.issuer, other.issuer):
        return "same Patient ID of another issuer"
    if _differ(one.birth_date, other.birth_date):
        return "same Patient ID with another birth date"
    if {one.sex, other.sex} == {"M", "F"}:
        return "same Patient ID with another sex"
    is_same_name = names_agree(current.patient_name, earlier.patient_name)
    if is_same_name is False:
        return "same Patient ID with another name"
    is_borne_out = _agree(one.issuer, other.issuer) or _agree(one.birth_date, other.birth_date)
    return "" if is_borne_out or is_same_name else "nothing but the Patient ID says whose it is"


def names_agree(one: str, other: str) -> bool | None:
    """Compare two person names (PS3.5 6.2.1.1); None if one is missing or they share no script.

    A family name that changed, a middle name or an order of its own do not make another person: one word in
    common is enough, in any of the three component groups.
    """
    compared = [
        (first, second)
        for first, second in zip(_groups(one), _groups(other), strict=False)
        if first and second
    ]
    return any(first & second for first, second in compared) if compared else None


def _groups(name: str) -> list[set[str]]:
    """Split a name into words of each component group, without case, accents and initials."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    unaccented = "".join(character for character in plain if not unicodedata.combining(character))
    return [
        {word for word in re.split(r"[\W_]+", group) if len(word) > 1 or not word.isascii()} - {""}
        for group in unaccented.split("=")
    ]


def _differ(one: str, other: str) -> bool:
    return bool(one) and bool(other) and one != other


def _agree(one: str, other: str) -> bool:
    return bool(one) and one == other

"""The order behind a study, and the pure rule which of a worklist's answers it is."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pydicom import Dataset

from dicom_node.admission import Patient
from dicom_node.priors.description import text
from dicom_node.priors.identity import names_a_patient, names_agree
from dicom_node.rules.settings import Rule
from dicom_node.study import Priority
from dicom_node.urgency import OVERTAKEN_FOR, priority_of

MOST_CHARACTERS: Final = 1024
"""Of an indication or a procedure that are kept."""
CANCELLED: Final = ("CANCELED", "CANCELLED", "DISCONTINUED")


@dataclass(frozen=True, slots=True, repr=False)
class Order:
    """What somebody wants to know of a study, and how urgently."""

    indication: str = ""
    """Reason for the Requested Procedure (0040,1002), else the meanings of its codes (0040,100A)."""
    requested_procedure: str = ""
    accession_number: str = ""
    priority: Priority = Priority.ROUTINE


@dataclass(frozen=True, slots=True, repr=False)
class Ordered:
    """What is known of a study that was ordered."""

    study_instance_uid: str
    accession_number: str
    patient: Patient
    patient_name: str


def order_of(answers: Sequence[Dataset], study: Ordered) -> Order | None:
    """Choose the order behind a study among the answers of a worklist; None if it is not there.

    The Study Instance UID is believed before the accession number, which must belong to the same patient.
    Several orders under one accession number are one examination: the most urgent says how urgent it is,
    and what they disagree about is left out.
    """
    possible = [ds for ds in answers if _is_of(ds, study) and not _is_cancelled(ds)]
    accession = study.accession_number
    orders = [ds for ds in possible if text(ds, "StudyInstanceUID") == study.study_instance_uid]
    orders = orders or [ds for ds in possible if accession and text(ds, "AccessionNumber") == accession]
    if not orders:
        return None
    return Order(
        indication=_agreed(_indication(ds) for ds in orders),
        requested_procedure=_agreed(_procedure(ds) for ds in orders),
        accession_number=_agreed(text(ds, "AccessionNumber") for ds in orders),
        priority=min((priority_of(text(ds, "RequestedProcedurePriority")) for ds in orders), key=_rank),
    )


def priority_under(rule: Rule | None, order: Order | None) -> Priority:
    """Say how urgent a study is: what its rule says, else what its order says."""
    if rule is not None and rule.priority is not None:
        return Priority(rule.priority)
    return Priority.ROUTINE if order is None else order.priority


def _is_of(ds: Dataset, study: Ordered) -> bool:
    other = Patient(
        text(ds, "PatientID"),
        text(ds, "IssuerOfPatientID"),
        text(ds, "PatientBirthDate"),
        text(ds, "PatientSex"),
    )
    is_named = names_a_patient(other.patient_id) and not study.patient.contradicts(other)
    return is_named and names_agree(study.patient_name, text(ds, "PatientName")) is not False


def _is_cancelled(ds: Dataset) -> bool:
    steps = ds.get("ScheduledProcedureStepSequence") or ()
    states = [text(step, "ScheduledProcedureStepStatus").upper() for step in steps]
    return bool(states) and all(state in CANCELLED for state in states)


def _rank(priority: Priority) -> int:
    return list(OVERTAKEN_FOR).index(priority)


def _agreed(values: Iterable[str]) -> str:
    distinct = {value for value in values if value}
    return distinct.pop()[:MOST_CHARACTERS] if len(distinct) == 1 else ""


def _indication(ds: Dataset) -> str:
    codes = ", ".join(_meanings(ds, "ReasonForRequestedProcedureCodeSequence"))
    return text(ds, "ReasonForTheRequestedProcedure") or codes


def _procedure(ds: Dataset) -> str:
    codes = ", ".join(_meanings(ds, "RequestedProcedureCodeSequence"))
    return text(ds, "RequestedProcedureDescription") or codes


def _meanings(ds: Dataset, keyword: str) -> Iterator[str]:
    yield from filter(None, (text(item, "CodeMeaning") for item in ds.get(keyword) or ()))

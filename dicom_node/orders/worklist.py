"""Modality Worklist as SCU (PS3.4 K): asks a RIS for what it knows of a study."""

from collections.abc import Iterator
from typing import Final

from pydicom import Dataset
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from dicom_node.errors import PeerError, RefusedError, UnreachableError
from dicom_node.orders.order import Order, Ordered, order_of
from dicom_node.orders.settings import Worklist
from dicom_node.priors.query_retrieve import PENDING
from dicom_node.scu import associated, identifier

MODALITY_WORKLIST: Final = "1.2.840.10008.5.1.4.31"
MOST_ORDERS: Final = 100
"""Answers to one question; a RIS that gives more has not understood the key."""
ORDER_KEYS: Final = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyInstanceUID", "RequestedProcedureID", "RequestedProcedureDescription"),
    *("RequestedProcedurePriority", "ReasonForTheRequestedProcedure"),
)
CODE_KEYS: Final = ("RequestedProcedureCodeSequence", "ReasonForRequestedProcedureCodeSequence")
STEP_KEYS: Final = (
    *("Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate"),
    *("ScheduledProcedureStepStartTime", "ScheduledProcedureStepStatus", "ScheduledProcedureStepID"),
)


def ask_worklist(worklist: Worklist, study: Ordered) -> Order | None:
    """Ask by Study Instance UID, then by accession number; None if the RIS has no order of this patient.

    Raises:
        PeerError: the RIS does not answer, or answers with a failure.
    """
    with associated(worklist, [build_context(MODALITY_WORKLIST)]) as association:
        for keyword, value in (
            ("StudyInstanceUID", study.study_instance_uid),
            ("AccessionNumber", study.accession_number),
        ):
            if value:
                order = order_of(list(_answers(association, **{keyword: value})), study)
                if order is not None:
                    return order
    return None


def _answers(association: Association, **match: str) -> Iterator[Dataset]:
    responses = association.send_c_find(_query(**match), MODALITY_WORKLIST)
    for count, (status, answer) in enumerate(responses):
        code = status.get("Status")
        if code is None:
            raise UnreachableError("the answer of the worklist broke off")
        if code in PENDING:
            if count >= MOST_ORDERS:
                association.abort()
                raise PeerError(f"the worklist has more than {MOST_ORDERS} orders for one study")
            if answer is not None:
                yield answer
        elif code != 0x0000:
            raise RefusedError("C-FIND of the worklist", code)


def _query(**match: str) -> Dataset:
    query = identifier(**{**dict.fromkeys(ORDER_KEYS, ""), **match})
    for keyword in CODE_KEYS:
        setattr(query, keyword, [identifier(CodeValue="", CodingSchemeDesignator="", CodeMeaning="")])
    query.ScheduledProcedureStepSequence = [identifier(**dict.fromkeys(STEP_KEYS, ""))]
    return query

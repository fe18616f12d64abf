"""What the listener answers beside C-ECHO and C-STORE: DIMSE-N services (PS3.7 10), by SOP class."""

from collections.abc import Callable, Mapping
from functools import partial

from pydicom import Dataset
from pynetdicom import evt

from dicom_node.announcements import (
    INSTANCE_AVAILABILITY,
    PERFORMED_PROCEDURE_STEP,
    take_availability,
    take_new_step,
    take_step_change,
)
from dicom_node.database.engine import Database
from dicom_node.dimse_status import NO_SUCH_CLASS
from dicom_node.settings import NodeSettings
from dicom_node.storage_commitment.messages import STORAGE_COMMITMENT
from dicom_node.storage_commitment.providing import take_request
from dicom_node.storage_commitment.reports import take_report

Answer = Callable[[evt.Event], int]
"""Does what a request asks for and returns the status of the response."""
Handler = Callable[[evt.Event], tuple[int, Dataset | None]]


class NormalizedServices:
    """The services of one node. An association that does not need them costs nothing."""

    def __init__(self, answers: Mapping[tuple[evt.InterventionEvent, str], Answer]) -> None:
        self._answers = answers

    @property
    def sop_classes(self) -> frozenset[str]:
        return frozenset(uid for _, uid in self._answers)

    @property
    def handlers(self) -> list[tuple[evt.InterventionEvent, Handler]]:
        """One handler for each kind of request, as the library binds them."""
        return [(kind, partial(self._answer, kind)) for kind in {kind for kind, _ in self._answers}]

    def _answer(self, kind: evt.InterventionEvent, event: evt.Event) -> tuple[int, Dataset | None]:
        request = event.request
        uid = getattr(request, "RequestedSOPClassUID", None) or getattr(request, "AffectedSOPClassUID", None)
        answer = self._answers.get((kind, str(uid)))
        return (NO_SUCH_CLASS if answer is None else answer(event)), None


def services_of(settings: NodeSettings, database: Database) -> NormalizedServices:
    """Make the services of a node on its index."""
    return NormalizedServices(
        {
            (evt.EVT_N_ACTION, STORAGE_COMMITMENT): partial(take_request, database, settings.modalities),
            (evt.EVT_N_CREATE, INSTANCE_AVAILABILITY): partial(take_availability, database),
            (evt.EVT_N_CREATE, PERFORMED_PROCEDURE_STEP): partial(take_new_step, database),
            (evt.EVT_N_SET, PERFORMED_PROCEDURE_STEP): partial(take_step_change, database),
            (evt.EVT_N_EVENT_REPORT, STORAGE_COMMITMENT): partial(take_report, database),
        }
    )

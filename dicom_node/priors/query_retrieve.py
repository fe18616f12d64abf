"""Priors from a PACS over DICOM query/retrieve (PS3.4 C): C-FIND, then C-GET, else C-MOVE to ourselves."""

import logging
from collections.abc import Iterator, Sequence

from pydicom import Dataset
from pynetdicom import build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import PresentationContext, build_context

from dicom_node.admission import Patient, StoreCommand
from dicom_node.database.engine import Database
from dicom_node.dimse_status import PROCESSING_FAILURE
from dicom_node.errors import PeerError, RefusedError, UnreachableError
from dicom_node.intake import Intake
from dicom_node.priors.description import SERIES_KEYS, STUDY_KEYS, described, text
from dicom_node.priors.local import readable_instances
from dicom_node.priors.source import Candidate
from dicom_node.routing import READABLE_CLASSES
from dicom_node.scu import associated, identifier
from dicom_node.settings import NodeSettings, QueryRetrieve
from dicom_node.storage import InstanceStore
from dicom_node.storage_classes import TRANSFER_SYNTAXES
from dicom_node.study import Instance, Origin
from dicom_node.uids import is_uid

logger = logging.getLogger(__name__)

FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{service}" for service in (1, 2, 3))
"""Study Root Query/Retrieve Information Model (PS3.4 C.6.2)."""
PENDING = (0xFF00, 0xFF01)
MOST_STUDIES = 200
"""Answers to one C-FIND that are looked at; a PACS that returns more has not understood the Patient ID."""
NATIVE, COMPRESSED = TRANSFER_SYNTAXES[:3], TRANSFER_SYNTAXES[3:]


def query_retrieve_sources(
    settings: NodeSettings, database: Database, store: InstanceStore
) -> Sequence["QueryRetrieveSource"]:
    """Build one source for each `[[query_retrieve]]`."""
    intake = Intake(store, database, settings.node.min_free_bytes)
    own = settings.node.ae_title
    return [QueryRetrieveSource(peer, own, database, intake) for peer in settings.query_retrieve]


class QueryRetrieveSource:
    """One PACS."""

    def __init__(
        self,
        peer: QueryRetrieve,
        own_ae_title: str,
        database: Database,
        intake: Intake,
        *,
        more_classes: Sequence[str] = (),
    ) -> None:
        """Ask one peer; `more_classes` are fetched beside the images that the node reads."""
        self.name = peer.name
        self.budget_s = peer.budget_s
        self._peer = peer
        self._own_ae_title = own_ae_title
        self._database = database
        self._intake = intake
        self._more_classes = more_classes

    def studies(self, *, study_instance_uid: str = "", study_date: str = "") -> list[Candidate]:
        """Return all studies of a UID or a range of dates (PS3.4 C.2.2.2.5), whoever the patient is.

        Raises:
            PeerError: the PACS does not answer, or answers with a failure.
        """
        query = identifier(
            QueryRetrieveLevel="STUDY",
            PatientID="",
            StudyInstanceUID=study_instance_uid,
            StudyDate=study_date,
            StudyTime="",
            ModalitiesInStudy="",
        )
        with associated(self._peer, [build_context(FIND)]) as association:
            answers = list(self._find(association, query, most=None))
            return [
                self._candidate(association, ds) for ds in answers if is_uid(text(ds, "StudyInstanceUID"))
            ]

    def candidates(self, patient: Patient) -> list[Candidate]:
        keys = dict.fromkeys(STUDY_KEYS, "") | {"PatientID": patient.patient_id}
        query = identifier(QueryRetrieveLevel="STUDY", **keys)
        query.ProcedureCodeSequence = [identifier(CodeValue="", CodingSchemeDesignator="")]
        with associated(self._peer, [build_context(FIND)]) as association:
            answers = list(self._find(association, query))
            # A Patient ID may hold wildcards (PS3.4 C.2.2.2.4): the answers are compared again.
            studies = [ds for ds in answers if text(ds, "PatientID") == patient.patient_id]
            return [
                self._candidate(association, ds) for ds in studies if is_uid(text(ds, "StudyInstanceUID"))
            ]

    def _find(
        self, association: Association, query: Dataset, most: int | None = MOST_STUDIES
    ) -> Iterator[Dataset]:
        responses = association.send_c_find(query, FIND)
        for count, (status, answer) in enumerate(responses):
            code = status.get("Status")
            if code is None:
                raise UnreachableError("the answer to C-FIND broke off")
            if code in PENDING:
                if answer is not None and (most is None or count < most):
                    yield answer
            elif code != 0x0000:
                raise RefusedError("C-FIND", code)

    def _candidate(self, association: Association, ds: Dataset) -> Candidate:
        """Describe a study; body parts are known at the level of series only."""
        uid = text(ds, "StudyInstanceUID")
        keys = dict.fromkeys(SERIES_KEYS, "") | {"StudyInstanceUID": uid}
        query = identifier(QueryRetrieveLevel="SERIES", **keys)
        return described(ds, list(self._find(association, query)))

    def fetch(self, candidate: Candidate) -> tuple[Instance, ...]:
        match self._peer.retrieve:
            case "get":
                self._get(candidate)
            case "move":
                self._move(candidate)
            case "auto":
                self._get_else_move(candidate)
        return readable_instances(self._database, candidate)

    def _get_else_move(self, candidate: Candidate) -> None:
        try:
            self._get(candidate)
        except PeerError as exc:
            logger.info(
                "C-GET failed, trying C-MOVE", extra={"source": self.name, "error": type(exc).__name__}
            )
            self._move(candidate)
            return
        if not readable_instances(self._database, candidate):
            self._move(candidate)

    def _get(self, candidate: Candidate) -> None:
        storage = _storage_contexts(candidate, self._more_classes)
        roles = [build_role(str(uid), scp_role=True) for uid in {c.abstract_syntax for c in storage} if uid]
        contexts = [build_context(GET), *storage]
        handlers: list[evt.EventHandlerType] = [(evt.EVT_C_STORE, self._on_store)]
        with associated(self._peer, contexts, roles, handlers) as association:
            query = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=candidate.study_instance_uid)
            try:
                responses = association.send_c_get(query, GET)
                _follow("C-GET", responses)
            except ValueError as exc:
                raise UnreachableError("C-GET is not supported") from exc

    def _move(self, candidate: Candidate) -> None:
        """Have the PACS send the study to our own listener; it marks what it sends with our AE title."""
        context = build_context(MOVE)
        with associated(self._peer, [context]) as association:
            query = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=candidate.study_instance_uid)
            responses = association.send_c_move(query, self._own_ae_title, MOVE)
            _follow("C-MOVE", responses)

    def _on_store(self, event: evt.Event) -> int:
        request = event.request
        if not isinstance(request, C_STORE) or request.DataSet is None:
            return PROCESSING_FAILURE
        command = StoreCommand(
            sop_class_uid=str(request.AffectedSOPClassUID or ""),
            sop_instance_uid=str(request.AffectedSOPInstanceUID or ""),
            transfer_syntax_uid=str(event.context.transfer_syntax),
            calling_ae_title=self._peer.ae_title,
            origin=Origin.RETRIEVED,
        )
        reception = self._intake.begin(command)
        reception.write(request.DataSet.getbuffer())
        return reception.finish().status


def _follow(operation: str, responses: Iterator[tuple[Dataset, Dataset | None]]) -> None:
    """Read responses to the end. Failed sub-operations are judged by what arrives, not by their counters."""
    code: int | None = None
    for status, _ in responses:
        code = status.get("Status")
        if code is None:
            raise UnreachableError(f"the answer to {operation} broke off")
    if code is not None and code != 0x0000 and code >> 12 != 0xB:
        raise RefusedError(operation, code)


def _storage_contexts(candidate: Candidate, more_classes: Sequence[str]) -> list[PresentationContext]:
    """Offer the image classes, native encodings in one context and each compressed one in its own.

    So a PACS can send what it has as it has it. 127 contexts are the most that fit.
    """
    classes = [uid for uid in READABLE_CLASSES if _may_hold(uid, candidate)]
    contexts = [build_context(uid, list(NATIVE)) for uid in (*classes, *more_classes)]
    contexts += [build_context(uid, syntax) for syntax in COMPRESSED for uid in classes]
    return contexts[:127]


def _may_hold(sop_class_uid: str, candidate: Candidate) -> bool:
    is_ct = ".5.1.4.1.1.2" in sop_class_uid
    is_radiograph = sop_class_uid.split("1.2.840.10008.5.1.4.1.1.")[-1].split(".")[0] == "1"
    modalities = set(candidate.modalities)
    if is_ct:
        return "CT" in modalities or not modalities
    if is_radiograph:
        return bool(modalities & {"CR", "DX", "RG"}) or not modalities
    return True

"""Checks of destinations and query/retrieve peers: what stands between us and an answer of theirs."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from dicom_node.diagnosis.certificates import server_certificate_check
from dicom_node.diagnosis.faults import Check, Fault, faulty, fine
from dicom_node.diagnosis.moving import accepted, move_check
from dicom_node.diagnosis.reach import LONGEST_WAIT_S, not_reached
from dicom_node.errors import Absence, NodeError, UnreachableError
from dicom_node.modality_settings import Modality
from dicom_node.orders.settings import Worklist
from dicom_node.orders.worklist import MODALITY_WORKLIST
from dicom_node.priors.query_retrieve import FIND, GET, MOVE, PENDING
from dicom_node.result_classes import SENT
from dicom_node.scu import Peer, associated, identifier
from dicom_node.settings import Destination, NodeSettings, QueryRetrieve
from dicom_node.storage_classes import VERIFICATION
from dicom_node.tls import TlsConnecting

STORAGE_COMMITMENT: Final = "1.2.840.10008.1.20.1"
NOBODYS: Final = "NOBODYS-NUMBER"
"""An accession number that no order has."""
NATIVE: Final[list[str | UID]] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_FAULTS: Final[dict[Absence, Fault]] = {
    Absence.NO_CONNECTION: Fault.NO_DICOM,
    Absence.SILENT: Fault.NO_DICOM,
    Absence.CALLING_AE_UNKNOWN: Fault.CALLING_AE_UNKNOWN,
    Absence.CALLED_AE_UNKNOWN: Fault.CALLED_AE_UNKNOWN,
    Absence.REJECTED: Fault.REJECTED,
    Absence.NO_TLS: Fault.TLS,
    Absence.NO_CONTEXT: Fault.NO_CONTEXT,
}
"""What it means that there is no association, where a TCP connection was made before."""
_RETRIEVE: Final = {"get": (GET,), "move": (MOVE,), "auto": (GET, MOVE)}

AskStep = Callable[[Association], Iterator[Check]]


def destination_checks(destination: Destination) -> Iterator[Check]:
    """Check one destination of kind dicom: it answers, and stores every class that its profile sends."""
    classes = SENT[destination.profile]
    contexts = [build_context(uid, NATIVE) for uid in classes]
    if destination.proof.by == "commitment" and destination.proof.host is destination.proof.port is None:
        classes = (*classes, STORAGE_COMMITMENT)
        contexts.append(build_context(STORAGE_COMMITMENT))
    peer = destination.model_copy(update={"timeout_s": min(destination.timeout_s, LONGEST_WAIT_S)})
    yield from _asked(peer, contexts, partial(_stores, peer, classes))


def query_retrieve_checks(peer: QueryRetrieve, settings: NodeSettings) -> Iterator[Check]:
    """Check one archive: it answers, lets itself be queried, and moves to the node what it is asked for."""
    hasty = peer.model_copy(update={"timeout_s": min(peer.timeout_s, LONGEST_WAIT_S)})
    contexts = [build_context(uid) for uid in (FIND, GET, MOVE)]
    found = list(_asked(hasty, contexts, partial(_answers_queries, hasty)))
    yield from found
    if MOVE in _RETRIEVE[peer.retrieve] and all(check.is_ok for check in found):
        yield move_check(hasty, settings)


def worklist_checks(worklist: Worklist) -> Iterator[Check]:
    """Check one RIS: it answers, and lets its worklist be asked."""
    hasty = worklist.model_copy(update={"timeout_s": min(worklist.timeout_s, LONGEST_WAIT_S)})

    def asked(association: Association) -> Iterator[Check]:
        yield _find(hasty, association, MODALITY_WORKLIST, identifier(AccessionNumber=NOBODYS))

    for check in _asked(hasty, [build_context(MODALITY_WORKLIST)], asked):
        # Without its order a study is read nevertheless.
        yield replace(check, is_needed=False)


def modality_checks(modality: Modality) -> Iterator[Check]:
    """Check one sender that is told what the node keeps of it: it answers where reports go."""
    hasty = modality.model_copy(update={"timeout_s": min(modality.timeout_s, LONGEST_WAIT_S)})
    for check in _asked(hasty, [], lambda _: iter(())):
        yield replace(check, is_needed=False)


def _asked(peer: Peer, contexts: list[PresentationContext], steps: AskStep) -> Iterator[Check]:
    """Connect, associate and go through `steps`, until one tells why there is nothing more to ask."""
    name = f"peer {peer.name}"
    lost = not_reached(name, peer.host, peer.port or 0)
    if lost is not None:
        yield lost
        return
    try:
        if peer.tls is not None:
            tls = TlsConnecting(peer.tls, peer.host)
            where = (peer.host, peer.port or 0)
            shown = server_certificate_check(f"{name}, certificate", *where, tls.context, named=tls.peer_name)
            yield shown
            if shown.is_needed and not shown.is_ok:
                return
        with associated(peer, [build_context(VERIFICATION), *contexts]) as association:
            yield _echo(name, peer, association)
            yield from steps(association)
    except UnreachableError as exc:
        ours, theirs = peer.calling_ae_title, peer.ae_title
        yield faulty(name, _FAULTS[exc.absence], str(exc), ours=ours, theirs=theirs, port=peer.port)
    except NodeError as exc:
        yield faulty(name, Fault.SETTINGS, str(exc))


def _echo(name: str, peer: Peer, association: Association) -> Check:
    where = f"{peer.ae_title} at {peer.host}:{peer.port}"
    if VERIFICATION not in accepted(association):
        return fine(name, f"{where} accepts associations, though no C-ECHO")
    status = association.send_c_echo().get("Status")
    if status == 0x0000:
        return fine(name, f"{where} answers C-ECHO")
    return faulty(name, Fault.REFUSED, f"C-ECHO {_code(status)}", ours=peer.calling_ae_title)


def _stores(peer: Destination, classes: tuple[str, ...], association: Association) -> Iterator[Check]:
    name = f"peer {peer.name}, storing"
    missing = [UID(uid).name for uid in classes if uid not in accepted(association)]
    if missing:
        detail = f"{', '.join(missing)} (profile {peer.profile})"
        yield faulty(name, Fault.NO_CONTEXT, detail, ours=peer.calling_ae_title)
    elif classes:
        yield fine(name, f"{len(classes)} SOP classes of profile {peer.profile} are accepted")


def _answers_queries(peer: QueryRetrieve, association: Association) -> Iterator[Check]:
    known, wanted = accepted(association), _RETRIEVE[peer.retrieve]
    if not known.intersection(wanted):
        services = " or ".join(UID(uid).name for uid in wanted)
        name = f"peer {peer.name}, retrieving"
        yield faulty(name, Fault.NO_CONTEXT, services, ours=peer.calling_ae_title)
    nobodys = identifier(QueryRetrieveLevel="STUDY", PatientID="", StudyInstanceUID="2.25.0")
    yield _find(peer, association, FIND, nobodys)


def _find(peer: Peer, association: Association, model: str, nobodys: Dataset) -> Check:
    """Ask for what nobody has: whether we may ask is all that this tells."""
    name = f"peer {peer.name}, querying"
    ours = peer.calling_ae_title
    if model not in accepted(association):
        return faulty(name, Fault.NO_CONTEXT, UID(model).name, ours=ours)
    code: int | None = None
    for status, _ in association.send_c_find(nobodys, model):
        code = status.get("Status")
    if code is None or code not in (0x0000, *PENDING):
        return faulty(name, Fault.REFUSED, f"C-FIND {_code(code)}", ours=ours)
    return fine(name, "C-FIND is answered")


def _code(status: int | None) -> str:
    return "is not answered" if status is None else f"is answered 0x{status:04X}"

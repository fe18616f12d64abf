"""The DICOM listener: Verification and Storage as a service class provider (PS3.4 A and B)."""

import ipaddress
import logging
import time

from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification

from dicom_node.admission import StoreCommand
from dicom_node.dimse_status import PROCESSING_FAILURE
from dicom_node.errors import NodeError
from dicom_node.intake import Intake
from dicom_node.settings import Node
from dicom_node.storage_classes import TRANSFER_SYNTAXES, is_storage_class
from dicom_node.study import Origin
from dicom_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

logger = logging.getLogger(__name__)

REJECTED_PERMANENT, SERVICE_USER, CALLING_NOT_RECOGNISED = 0x01, 0x01, 0x03
ASSOCIATION_TIMEOUT_S = 10.0
"""Seconds from connection to a complete A-ASSOCIATE-RQ."""


class StorageSCP:
    """Listens, answers C-ECHO and hands what C-STORE brings to the intake."""

    def __init__(self, node: Node, intake: Intake) -> None:
        self._node = node
        self._intake = intake
        self._server: object | None = None
        _config.LOG_REQUEST_IDENTIFIERS = False
        _config.LOG_RESPONSE_IDENTIFIERS = False
        ae = AE(ae_title=node.ae_title)
        ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        ae.require_called_aet = True
        ae.require_calling_aet = list(node.accepted_calling)
        ae.maximum_associations = node.max_associations
        ae.maximum_pdu_size = node.max_pdu_bytes
        ae.acse_timeout = ASSOCIATION_TIMEOUT_S
        ae.network_timeout = node.network_timeout_s
        ae.add_supported_context(Verification)
        self._ae = ae

    def start(self) -> None:
        """Begin to listen.

        Raises:
            NodeError: the port is taken or the address is not ours.
        """
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_CONN_CLOSE, self._on_closed),
        ]
        address = (self._node.host, self._node.port)
        try:
            self._ae.start_server(address, block=False, evt_handlers=handlers)
        except OSError as exc:
            raise NodeError(f"cannot listen on {address[0]} port {address[1]}: {exc.strerror}") from exc
        logger.info("listening", extra={"ae_title": self._node.ae_title, "port": self._node.port})

    def stop(self, patience_s: float = 20.0) -> None:
        """Stop listening; let associations finish for a while, then abort them."""
        deadline = time.monotonic() + patience_s
        servers = list(self._ae._servers)
        for server in servers:
            server.shutdown()
        while self._ae.active_associations and time.monotonic() < deadline:
            time.sleep(0.05)
        self._ae.shutdown()

    def _on_requested(self, event: evt.Event) -> None:
        """Offer what the requestor proposes, as far as we can store it, in its own order of preference."""
        assoc: Association = event.assoc
        if not self._node.accepted_calling and not is_loopback(assoc.requestor.address):
            logger.warning("association rejected: no calling AE title is accepted from other machines")
            assoc.acse.send_reject(REJECTED_PERMANENT, SERVICE_USER, CALLING_NOT_RECOGNISED)
            assoc.kill()
            return
        request = assoc.requestor.primitive
        proposed = [] if request is None else request.presentation_context_definition_list
        assoc.acceptor.supported_contexts = [*self._ae.supported_contexts, *supported_contexts(proposed)]

    def _on_store(self, event: evt.Event) -> int:
        """Answer one C-STORE request: the task boundary of the receiver, so there is always an answer."""
        try:
            request = event.request
            command = StoreCommand(
                sop_class_uid=str(request.AffectedSOPClassUID or ""),
                sop_instance_uid=str(request.AffectedSOPInstanceUID or ""),
                transfer_syntax_uid=str(event.context.transfer_syntax),
                calling_ae_title=event.assoc.requestor.ae_title,
                origin=origin_of(
                    str(request.MoveOriginatorApplicationEntityTitle or ""), self._node.ae_title
                ),
                association=id(event.assoc),
            )
            reception = self._intake.begin(command)
            reception.write(request.DataSet.getbuffer())
            return reception.finish().status
        except (
            Exception
        ):  # the one boundary: a sender without an answer would not know what became of its object
            logger.exception("C-STORE failed in an unforeseen way")
            return PROCESSING_FAILURE

    def _on_closed(self, event: evt.Event) -> None:
        self._intake.open_studies.close(id(event.assoc))


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.split("%")[0]).is_loopback


def origin_of(move_originator: str, own_ae_title: str) -> Origin:
    """Tell what a C-MOVE of our own brings (PS3.7 9.3.1.1, Move Originator) from what is sent to us."""
    return Origin.RETRIEVED if move_originator.strip() == own_ae_title else Origin.ROUTED


def supported_contexts(proposed: list[PresentationContext]) -> list[PresentationContext]:
    """Return what we support of the proposed presentation contexts."""
    syntaxes: dict[str, list[str]] = {}
    for context in proposed:
        abstract = str(context.abstract_syntax)
        if is_storage_class(abstract):
            known = syntaxes.setdefault(abstract, [])
            known += [
                s for s in map(str, context.transfer_syntax) if s in TRANSFER_SYNTAXES and s not in known
            ]
    return [build_context(abstract, offered) for abstract, offered in syntaxes.items() if offered]

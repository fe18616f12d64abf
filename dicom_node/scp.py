"""The DICOM listener: Verification and Storage as a service class provider (PS3.4 A and B)."""

import ipaddress
import itertools
import logging
from collections.abc import Container, Iterable

from pynetdicom import _config, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from dicom_node.admission import Disposition, StoreCommand
from dicom_node.dimse_status import PROCESSING_FAILURE
from dicom_node.errors import NodeError
from dicom_node.intake import Intake, Reception
from dicom_node.normalized_services import NormalizedServices
from dicom_node.settings import Node
from dicom_node.storage_classes import TRANSFER_SYNTAXES, VERIFICATION, is_storage_class
from dicom_node.study import Origin
from dicom_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.upper_layer.dimse_messages import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    MOVE_ORIGINATOR,
    CommandSet,
    text,
)
from dicom_node.upper_layer.listener import Listener
from dicom_node.upper_layer.provider import BeginStore

logger = logging.getLogger(__name__)

REJECTED_PERMANENT, SERVICE_USER, CALLING_NOT_RECOGNISED = 0x01, 0x01, 0x03
ASSOCIATION_TIMEOUT_S = 10.0
"""Seconds from connection to a complete A-ASSOCIATE-RQ."""


class StorageSCP:
    """Listens, answers C-ECHO and hands what C-STORE brings to the intake."""

    def __init__(self, node: Node, intake: Intake, services: NormalizedServices | None = None) -> None:
        self._node = node
        self._intake = intake
        self._services = services or NormalizedServices({})
        self._listener: Listener | None = None
        self._numbers = itertools.count(1)
        self._number_of: dict[int, int] = {}
        _config.LOG_REQUEST_IDENTIFIERS = False
        _config.LOG_RESPONSE_IDENTIFIERS = False
        _config.LOG_HANDLER_LEVEL = "none"
        ae = ApplicationEntity(node.ae_title)
        ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        ae.require_called_aet = True
        ae.require_calling_aet = list(node.accepted_calling)
        ae.maximum_associations = node.max_associations
        ae.maximum_pdu_size = node.max_pdu_bytes
        ae.acse_timeout = ASSOCIATION_TIMEOUT_S
        ae.network_timeout = node.network_timeout_s
        self._ae = ae

    def start(self) -> None:
        """Begin to listen.

        Raises:
            NodeError: the port is taken or the address is not ours.
        """
        address = (self._node.host, self._node.port)
        try:
            self._listener = Listener(
                self._ae,
                address,
                self._begin_on,
                self._on_end,
                handlers=[(evt.EVT_REQUESTED, self._on_requested), *self._services.handlers],
                max_per_peer=self._node.max_associations_per_peer,
            )
        except OSError as exc:
            raise NodeError(f"cannot listen on {address[0]} port {address[1]}: {exc.strerror}") from exc
        self._listener.start()
        logger.info("listening", extra={"ae_title": self._node.ae_title, "port": self._node.port})

    def stop(self, patience_s: float = 20.0) -> None:
        """Stop listening; let associations finish for a while, then abort them."""
        if self._listener is not None:
            self._listener.shutdown(patience_s)

    def _on_requested(self, event: evt.Event) -> None:
        """Offer what the requestor proposes, as far as we can store it, in its own order of preference."""
        assoc = event.assoc
        if not self._node.accepted_calling and not is_loopback(assoc.requestor.address):
            logger.warning("association rejected: no calling AE title is accepted from other machines")
            assoc.acse.send_reject(REJECTED_PERMANENT, SERVICE_USER, CALLING_NOT_RECOGNISED)
            assoc.kill()
            return
        request = assoc.requestor.primitive
        proposed = [] if request is None else request.presentation_context_definition_list
        assoc.acceptor.supported_contexts = supported_contexts(proposed, self._services.sop_classes)

    def _begin_on(self, assoc: Association) -> BeginStore:
        number = next(self._numbers)
        self._number_of[id(assoc)] = number

        def begin(command: CommandSet, context_id: int) -> _Receiving:
            # The library offers only a list.
            # Not checked: pynetdicom has no public way.
            context = assoc._accepted_cx[context_id]  # pyright: ignore[reportPrivateUsage]
            store = StoreCommand(
                sop_class_uid=text(command, AFFECTED_SOP_CLASS_UID),
                sop_instance_uid=text(command, AFFECTED_SOP_INSTANCE_UID),
                transfer_syntax_uid=str(context.transfer_syntax[0]),
                calling_ae_title=assoc.requestor.ae_title.strip(),
                origin=origin_of(text(command, MOVE_ORIGINATOR), self._node.ae_title),
                association=number,
            )
            return _Receiving(self._intake.begin(store))

        return begin

    def _on_end(self, assoc: Association) -> None:
        number = self._number_of.pop(id(assoc), None)
        if number is not None:
            self._intake.open_studies.close(number)


class _Receiving:
    """One data set on its way from the network to the intake; the task boundary of the receiver."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self.write = reception.write
        self.abort = reception.abort

    def answer(self) -> tuple[int, str]:
        try:
            outcome = self._reception.finish()
        except Exception:
            # A sender without an answer would not know what became of its object.
            logger.exception("C-STORE failed in an unforeseen way")
            self._reception.abort()
            return PROCESSING_FAILURE, "unforeseen error"
        is_plain = outcome.disposition in (Disposition.KEPT, Disposition.DUPLICATE)
        return outcome.status, "" if is_plain or outcome.reason is None else outcome.reason.value


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.split("%")[0]).is_loopback


def origin_of(move_originator: str, own_ae_title: str) -> Origin:
    """Tell what a C-MOVE of our own brings (PS3.7 9.3.1.1, Move Originator) from what is sent to us."""
    return Origin.RETRIEVED if move_originator == own_ae_title else Origin.ROUTED


def supported_contexts(
    proposed: Iterable[PresentationContext], services: Container[str] = ()
) -> list[PresentationContext]:
    """Return what we support of the proposed presentation contexts; `services` are SOP classes too.

    Of services a requestor may be provider as well: one that reports commitment is (PS3.4 J.3.3).
    """
    syntaxes: dict[str, list[str]] = {}
    for context in proposed:
        abstract = str(context.abstract_syntax)
        supported = TRANSFER_SYNTAXES if is_storage_class(abstract) else TRANSFER_SYNTAXES[:3]
        if abstract == VERIFICATION or abstract in services or is_storage_class(abstract):
            known = syntaxes.setdefault(abstract, [])
            offered = [str(syntax) for syntax in context.transfer_syntax]
            known += [syntax for syntax in offered if syntax in supported and syntax not in known]
    contexts = [build_context(abstract, known) for abstract, known in syntaxes.items() if known]
    for context in contexts:
        if str(context.abstract_syntax) in services:
            context.scu_role = context.scp_role = True
    return contexts

"""Verification and Storage as a service class provider (PS3.4 A and B), for connections handed to it."""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Container, Iterable
from functools import cache, partial

from pynetdicom import _config, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from dicom_node.admission import Disposition, StoreCommand
from dicom_node.callers import Call, refusal_of
from dicom_node.dimse_status import PROCESSING_FAILURE
from dicom_node.intake import Intake, Reception
from dicom_node.low_water import LowWater
from dicom_node.normalized_services import NormalizedServices
from dicom_node.receivers.channel import ask_admission
from dicom_node.settings import Node
from dicom_node.storage_classes import TRANSFER_SYNTAXES, VERIFICATION, is_storage_class
from dicom_node.study import Origin
from dicom_node.tls import TlsListening, fault_of, names_in
from dicom_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, sanitized
from dicom_node.upper_layer.association import AcceptedAssociation
from dicom_node.upper_layer.dialogue import BeginStore
from dicom_node.upper_layer.dimse_messages import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    MOVE_ORIGINATOR,
    CommandSet,
    text,
)

logger = logging.getLogger(__name__)

REJECTED_TRANSIENT, SERVICE_PROVIDER = 0x02, 0x03
TEMPORARY_CONGESTION, LOCAL_LIMIT_EXCEEDED = 0x01, 0x02
NATIVE = TRANSFER_SYNTAXES[:3]
ANSWER_WITHIN_S = 10.0
"""How long disk and index may take for an instance, beside what its size needs at the rate below; senders
seldom wait for half a minute."""
LEAST_SYNCED_BYTES_PER_S = 8 << 20
ASSOCIATION_TIMEOUT_S = 10.0
"""Seconds from connection to a complete A-ASSOCIATE-RQ."""


class StorageSCP:
    """Serves connections: answers C-ECHO and hands what C-STORE brings to the intake."""

    def __init__(self, node: Node, intake: Intake, services: NormalizedServices | None = None) -> None:
        self._node = node
        self._intake = intake
        self._services = services or NormalizedServices({})
        self._low_water = LowWater(intake.folder, node.low_free_bytes)
        self._tls = None if node.tls is None else TlsListening(node.tls)
        _config.LOG_REQUEST_IDENTIFIERS = False
        _config.LOG_RESPONSE_IDENTIFIERS = False
        _config.LOG_HANDLER_LEVEL = "none"
        ae = ApplicationEntity(node.ae_title)
        ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        ae.maximum_associations = node.max_associations
        ae.maximum_pdu_size = node.max_pdu_bytes
        ae.acse_timeout = ASSOCIATION_TIMEOUT_S
        ae.network_timeout = node.network_timeout_s
        self._ae = ae

    def serve(
        self, connection: socket.socket, channel: socket.socket, address: tuple[str, int], *, is_crowded: bool
    ) -> None:
        """Serve one connection in threads of its own.

        `channel` answers what is asked by `ask_admission`, and is closed at the end. With `is_crowded` the
        association is rejected: there are as many as there may be.
        """
        begin = partial(self._begin, channel=channel, address=address, is_crowded=is_crowded)
        if self._tls is None:
            begin(connection)
            return
        # In a thread: a peer that says nothing holds up itself only.
        secure = partial(self._secure, self._tls, connection, begin, channel, address[0])
        try:
            threading.Thread(target=secure, name=f"TLS@{address[0]}", daemon=True).start()
        except RuntimeError:  # there are too many threads
            connection.close()
            channel.close()

    def _secure(
        self,
        tls: TlsListening,
        connection: socket.socket,
        begin: Callable[[socket.socket], None],
        channel: socket.socket,
        peer: str,
    ) -> None:
        try:
            secured = tls.accept(connection)
        except OSError as exc:
            logger.warning("connection refused", extra={"peer": peer, "fault": fault_of(exc)})
            connection.close()
            channel.close()
        else:
            begin(secured)

    def _begin(
        self, connection: socket.socket, *, channel: socket.socket, address: tuple[str, int], is_crowded: bool
    ) -> None:
        try:
            assoc = AcceptedAssociation(
                self._ae, connection, address, partial(self._begin_on, channel), channel.close
            )
            assoc.bind(evt.EVT_REQUESTED, self._on_requested, [is_crowded])
            for event, handler in self._services.handlers:
                assoc.bind(event, handler)
            assoc.start()
        except (OSError, RuntimeError):  # the peer is gone again, or there are too many threads
            connection.close()
            channel.close()

    def stop(self, patience_s: float) -> None:
        """Let associations finish for a while, then abort them."""
        deadline = time.monotonic() + patience_s
        while self._ae.active_associations and time.monotonic() < deadline:
            time.sleep(0.02)
        for assoc in self._ae.active_associations:
            assoc.abort()

    def _on_requested(self, event: evt.Event, is_crowded: bool) -> None:
        """Reject who may not call; offer what the others propose, as far as we can store it."""
        assoc = event.assoc
        if is_crowded:
            assoc.acse.send_reject(REJECTED_TRANSIENT, SERVICE_PROVIDER, LOCAL_LIMIT_EXCEEDED)
            assoc.kill()
            return
        request = assoc.requestor.primitive
        call = _call_of(assoc)
        refused = refusal_of(call, self._node.callers, (self._node.ae_title, *self._node.called_ae_titles))
        if refused is not None:
            titles = {"calling": sanitized(call.calling), "called": sanitized(call.called)}
            logger.warning("association rejected", extra={"why": refused.why, "peer": call.address, **titles})
            assoc.acse.send_reject(*refused.rejection.value)
            assoc.kill()
            return
        proposed = [] if request is None else request.presentation_context_definition_list
        if self._low_water.is_passed() and any(is_storage_class(str(c.abstract_syntax)) for c in proposed):
            logger.warning(
                "association rejected", extra={"why": "the disk is nearly full", "peer": call.address}
            )
            assoc.acse.send_reject(REJECTED_TRANSIENT, SERVICE_PROVIDER, TEMPORARY_CONGESTION)
            assoc.kill()
            return
        assoc.acceptor.supported_contexts = supported_contexts(proposed, self._services.sop_classes)

    def _begin_on(self, channel: socket.socket, assoc: Association) -> BeginStore:
        register = partial(ask_admission, channel)

        @cache
        def transfer_syntax_of(context_id: int) -> str:
            # The library offers only a list.
            # Not checked: pynetdicom has no public way.
            return str(assoc._accepted_cx[context_id].transfer_syntax[0])  # pyright: ignore[reportPrivateUsage]

        def begin(command: CommandSet, context_id: int) -> _Receiving:
            store = StoreCommand(
                sop_class_uid=text(command, AFFECTED_SOP_CLASS_UID),
                sop_instance_uid=text(command, AFFECTED_SOP_INSTANCE_UID),
                transfer_syntax_uid=transfer_syntax_of(context_id),
                calling_ae_title=assoc.requestor.ae_title.strip(),
                origin=origin_of(text(command, MOVE_ORIGINATOR), self._node.ae_title),
            )
            return _Receiving(self._intake.begin(store, register))

        return begin


class _Receiving:
    """One data set on its way from the network to the intake; the task boundary of the receiver."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self.write = reception.write
        self.room = reception.room
        self.advance = reception.advance
        self.abort = reception.abort

    def patience_s(self) -> float:
        return ANSWER_WITHIN_S + self._reception.size / LEAST_SYNCED_BYTES_PER_S

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


def _call_of(assoc: Association) -> Call:
    request, transport = assoc.requestor.primitive, assoc.dul.socket
    connection = None if transport is None else transport.socket
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    return Call(
        calling=("" if request is None else request.calling_ae_title).strip(),
        called=("" if request is None else request.called_ae_title).strip(),
        address=assoc.requestor.address,
        certificate_names=names_in(certificate or {}),
    )


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
        supported = TRANSFER_SYNTAXES if is_storage_class(abstract) else NATIVE
        if abstract == VERIFICATION or abstract in services or is_storage_class(abstract):
            known = syntaxes.setdefault(abstract, [])
            offered = [str(syntax) for syntax in context.transfer_syntax]
            known += [syntax for syntax in offered if syntax in supported and syntax not in known]
    # One of ours that was not offered, where none of theirs is ours: then it is the syntax that is refused.
    contexts = [build_context(abstract, known or [NATIVE[0]]) for abstract, known in syntaxes.items()]
    for context in contexts:
        if str(context.abstract_syntax) in services:
            context.scu_role = context.scp_role = True
    return contexts

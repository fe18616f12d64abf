"""The node as a client: associations with peers, C-ECHO and C-STORE; delivery of any kind."""

import logging
import os
import shutil
import socket
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from pydicom import Dataset, dcmread
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext, build_context

from dicom_node.dimse_status import SOP_CLASS_NOT_SUPPORTED
from dicom_node.errors import Absence, RefusedError, UnreachableError
from dicom_node.sendable import Sendable, SendOutcome, sendable
from dicom_node.settings import Destination
from dicom_node.storage import sync_folder
from dicom_node.storage_classes import VERIFICATION
from dicom_node.stow import send_by_web
from dicom_node.tls import Tls, TlsConnecting
from dicom_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.upper_layer.checkpoint import guard_requests

logger = logging.getLogger(__name__)

MOST_CONTEXTS = 128
"""Presentation contexts of one association (PS3.8 9.3.2.2: odd numbers up to 255)."""
_NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
_REJECTIONS = {3: Absence.CALLING_AE_UNKNOWN, 7: Absence.CALLED_AE_UNKNOWN}
"""Reasons that the service-user of the peer gives (PS3.8 9.3.4)."""


class Peer(Protocol):
    """Where an association goes; both `Destination` and `QueryRetrieve` settings are one."""

    @property
    def name(self) -> str: ...
    @property
    def ae_title(self) -> str | None: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int | None: ...
    @property
    def calling_ae_title(self) -> str: ...
    @property
    def timeout_s(self) -> float: ...
    @property
    def tls(self) -> Tls | None: ...


def send_files(destination: Destination, paths: Sequence[Path]) -> list[SendOutcome]:
    """Send files in order and return the status of every single one that was tried.

    Raises:
        UnreachableError: none could be tried: there is no association, the server by HTTP does not answer or
            does not let us in, or the folder cannot be written.
        StorageError: a file cannot be read.
    """
    sent: list[SendOutcome] = []
    try:
        for outcome in _outcomes(destination, [sendable(path) for path in paths]):
            sent.append(outcome)  # noqa: PERF402 - what was sent before an error counts
    except UnreachableError as exc:
        if not sent:
            raise
        logger.warning("destination went away", extra={"destination": destination.name, "why": str(exc)})
    return sent


def _outcomes(destination: Destination, files: Sequence[Sendable]) -> Iterator[SendOutcome]:
    match destination.kind:
        case "folder":
            return (_copy(file, destination) for file in files)
        case "dicomweb":
            return send_by_web(destination.web_peer, files)
        case "dicom":
            return send(destination, files)


def send(peer: Peer, files: Sequence[Sendable]) -> Iterator[SendOutcome]:
    """Send files in order over as few associations as their presentation contexts need.

    An object at which the peer drops the association has no status; the next ones get a new association.

    Raises:
        UnreachableError: no association could be made.
    """
    at = 0
    while at < len(files):
        contexts: dict[tuple[str, str], PresentationContext] = {}
        end = at
        while end < len(files) and len(contexts | (more := _contexts_of(files[end]))) <= MOST_CONTEXTS:
            contexts |= more
            end += 1
        with associated(peer, list(contexts.values())) as association:
            while at < end and association.is_established:
                yield SendOutcome(files[at].sop_instance_uid, _store(association, files[at]))
                at += 1


def _contexts_of(file: Sendable) -> dict[tuple[str, str], PresentationContext]:
    """One context per class and encoding; native ones also in the default encoding that every peer knows."""
    syntaxes = [file.transfer_syntax_uid]
    if file.transfer_syntax_uid in _NATIVE and file.transfer_syntax_uid != ImplicitVRLittleEndian:
        syntaxes.append(ImplicitVRLittleEndian)
    return {(file.sop_class_uid, syntax): build_context(file.sop_class_uid, syntax) for syntax in syntaxes}


def _store(association: Association, file: Sendable) -> int | None:
    accepted = {
        (str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in association.accepted_contexts
    }
    try:
        if (file.sop_class_uid, file.transfer_syntax_uid) in accepted:
            # With a path the encoded bytes go out as they are.
            response = association.send_c_store(file.path)
        elif (file.sop_class_uid, ImplicitVRLittleEndian) in accepted:
            response = association.send_c_store(dcmread(file.path))
        else:
            return SOP_CLASS_NOT_SUPPORTED
    except (ValueError, AttributeError, OSError, RuntimeError) as exc:
        logger.warning("object cannot be sent", extra={"error": type(exc).__name__})
        return None
    return response.Status if "Status" in response else None


def _copy(file: Sendable, destination: Destination) -> SendOutcome:
    assert destination.folder is not None  # noqa: S101 - checked by the settings
    folder = destination.folder
    part = folder / f".{uuid4().hex}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.path, part)
        with part.open("rb") as copied:
            os.fsync(copied.fileno())
        part.rename(folder / f"{file.sop_instance_uid}.dcm")
        sync_folder(folder)
    except OSError as exc:
        with suppress(OSError):
            part.unlink()
        raise UnreachableError(f"{destination.name}: the folder cannot be written ({exc.strerror})") from exc
    return SendOutcome(file.sop_instance_uid, 0x0000)


def accepted_classes(peer: Peer, sop_class_uids: Sequence[str]) -> frozenset[str]:
    """Ask by negotiation alone which SOP classes a peer stores in a native encoding; nothing is sent.

    Raises:
        UnreachableError: no association.
    """
    offered = [build_context(uid, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]) for uid in sop_class_uids]
    with associated(peer, [build_context(VERIFICATION), *offered]) as association:
        accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
    return frozenset(accepted & set(sop_class_uids))


def echo(peer: Peer) -> None:
    """Ask a peer whether it is there (C-ECHO).

    Raises:
        UnreachableError: no association.
        RefusedError: it answers with a failure.
    """
    with associated(peer, [build_context(VERIFICATION)]) as association:
        response = association.send_c_echo()
    status = response.get("Status")
    if status is None:
        raise UnreachableError(f"{peer.name}: no answer to C-ECHO")
    if status != 0x0000:
        raise RefusedError(f"{peer.name}: C-ECHO", status)


@contextmanager
def associated(
    peer: Peer,
    contexts: list[PresentationContext],
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Sequence[evt.EventHandlerType] = (),
) -> Generator[Association, None, None]:
    """Hold an association with a peer; released on the way out.

    Raises:
        UnreachableError: the peer is not there, does not answer in time or rejects us; the message says
        which.
        SettingsError: the files of TLS cannot be used.
    """
    tls = None if peer.tls is None else TlsConnecting(peer.tls, peer.host)
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.STORE_SEND_CHUNKED_DATASET = True
    opened: list[socket.socket] = []

    def on_open(event: evt.Event) -> None:
        """Without it every object waits 40 ms: Nagle's algorithm against delayed acknowledgement."""
        guard_requests(event.assoc)
        wrapper = event.assoc.dul.socket
        if wrapper is not None and wrapper.socket is not None:
            wrapper.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Else a peer that stops within a PDU is waited for without end.
            wrapper.socket.settimeout(peer.timeout_s)
            opened.append(wrapper.socket)

    ae = AE(ae_title=peer.calling_ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = peer.timeout_s
    association = ae.associate(
        peer.host,
        peer.port or 0,
        contexts=contexts,
        ae_title=peer.ae_title or "",
        ext_neg=list(roles),
        evt_handlers=[(evt.EVT_CONN_OPEN, on_open), *handlers],
        tls_args=None if tls is None else (tls.context, tls.peer_name),
    )
    try:
        if not association.is_established:
            raise _why_not(peer, association, tls, is_connected=bool(opened))
        yield association
    finally:
        if association.is_established:
            association.release()
        for connection in opened:
            # The library forgets it where the peer was faster.
            connection.close()


def _why_not(
    peer: Peer, association: Association, tls: TlsConnecting | None, *, is_connected: bool
) -> UnreachableError:
    where = f"{peer.name} ({peer.ae_title} at {peer.host}:{peer.port})"
    if tls is not None and tls.fault:
        return UnreachableError(f"{where}: no TLS: {tls.fault}", Absence.NO_TLS)
    # The library takes who rejects before our thread has woken from connecting for one who is not there.
    answer = association.acceptor.primitive or association.dul.receive_pdu()
    if isinstance(answer, A_ASSOCIATE) and answer.result:
        by_user = answer.result_source == 1
        absence = _REJECTIONS.get(answer.diagnostic or 0, Absence.REJECTED) if by_user else Absence.REJECTED
        return UnreachableError(f"{where} rejects the association: {answer.reason_str}", absence)
    if association.is_aborted and isinstance(answer, A_ASSOCIATE):
        message = f"{where} accepts none of the offered presentation contexts"
        return UnreachableError(message, Absence.NO_CONTEXT)
    absence = Absence.SILENT if is_connected else Absence.NO_CONNECTION
    return UnreachableError(f"{where} does not answer", absence)


def identifier(**elements: str) -> Dataset:
    """Build a query identifier from keywords; an empty value asks for the element to be returned."""
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds

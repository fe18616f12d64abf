"""TLS with certificates on both sides: the BCP 195 profile of RFC 8996 (PS3.15 B.12), TLS 1.2 and 1.3."""

import logging
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from socket import socket
from typing import Any, Final

from dicom_node.errors import SettingsError
from dicom_node.section import Section

logger = logging.getLogger(__name__)

CIPHERS: Final = "ECDHE+AESGCM:@SECLEVEL=2"
"""Of TLS 1.2: forward secrecy and authenticated encryption only; level 2 refuses RSA keys below 2048 bits and
SHA-1. All suites of TLS 1.3 are as good."""
HANDSHAKE_TIMEOUT_S: Final = 10.0
SEND_TIMEOUT_S: Final = 10.0
NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python does not name."""


class Tls(Section):
    """`[tls]`: our certificate and whose certificates are believed; `tls = true` of the node or of a
    peer that we call means this table, and `tls = {…}` there overrides single fields of it."""

    certificate_file: Path
    """PEM file of our certificate, followed by intermediate ones."""
    key_file: Path
    """PEM file of its private key, not encrypted; readable by the node only."""
    ca_file: Path
    """PEM file of the authorities that must have signed the certificates of peers."""
    crl_file: Path | None = None
    """PEM file of their revocation lists. Default: none is looked at; with it, an authority without a valid
    list vouches for nobody."""
    peer_name: str = ""
    """Name or address that the certificate of the peer we connect to must bear. Default: its host."""

    def files(self) -> tuple[Path, ...]:
        named = (self.certificate_file, self.key_file, self.ca_file, self.crl_file)
        return tuple(path for path in named if path is not None)


def _context(protocol: int, tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.verify_mode = ssl.CERT_REQUIRED
    with _told_by_file(tls.certificate_file, tls.key_file):
        context.load_cert_chain(tls.certificate_file, tls.key_file, password=_no_password)
    with _told_by_file(tls.ca_file):
        context.load_verify_locations(tls.ca_file)
    if tls.crl_file is not None:
        with _told_by_file(tls.crl_file):
            context.load_verify_locations(tls.crl_file)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


@contextmanager
def _told_by_file(*paths: Path) -> Generator[None, None, None]:
    try:
        yield
    except ssl.SSLError as exc:
        fault = fault_of(exc) if exc.reason else "not in PEM format"
        raise SettingsError(f"tls: {' with '.join(map(str, paths))}: {fault}") from exc
    except OSError as exc:
        raise SettingsError(f"tls: {' or '.join(map(str, paths))}: {exc.strerror}") from exc


def _no_password() -> str:
    """Called for an encrypted key; without it OpenSSL would ask on the terminal."""
    raise SettingsError("tls: key_file is encrypted; remove its password and protect the file")


def fault_of(error: OSError) -> str:
    """Say what went wrong with TLS, in OpenSSL's words; never holds anything that a peer has written."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message.rstrip(".") or "certificate verify failed"
    if isinstance(error, ssl.SSLError):
        # Python's own errors of this kind have no reason.
        return str(getattr(error, "reason", "") or "handshake broke off").replace("_", " ").lower()
    return "no handshake in time" if isinstance(error, TimeoutError) else "connection broke"


class TlsSocket(ssl.SSLSocket):
    """One accepted connection: what there is is read without waiting, sending may take `SEND_TIMEOUT_S`."""

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """Read decrypted bytes.

        Raises:
            ssl.SSLWantReadError: part of a record only, or a message of TLS itself.
            OSError: the connection broke.
        """
        self.setblocking(False)
        try:
            return super().recv_into(buffer, nbytes, flags)
        finally:
            self.settimeout(SEND_TIMEOUT_S)


class TlsListening:
    """TLS of the listener; takes certificates and revocation lists that were replaced without a restart."""

    def __init__(self, tls: Tls) -> None:
        """Read the files.

        Raises:
            SettingsError: one is missing or does not fit, or our certificate is not valid now.
        """
        self._tls = tls
        not_before, not_after = validity(tls.certificate_file, tls.key_file)
        if not not_before <= datetime.now(UTC) < not_after:
            raise SettingsError(
                f"tls: {tls.certificate_file} is valid from {not_before:%Y-%m-%d} to {not_after:%Y-%m-%d}"
            )
        self._read_at = self._changed_at()
        self._context = _server_context(tls)

    def accept(self, connection: socket) -> ssl.SSLSocket:
        """Shake hands on a connection that was accepted.

        Raises:
            OSError: it failed; the connection is closed. `fault_of` says why.
        """
        connection.settimeout(HANDSHAKE_TIMEOUT_S)
        return self._current().wrap_socket(connection, server_side=True)

    def _current(self) -> ssl.SSLContext:
        changed_at = self._changed_at()
        if changed_at != self._read_at:
            self._read_at = changed_at
            try:
                self._context = _server_context(self._tls)
                logger.info("TLS files read again")
            except SettingsError:
                logger.exception("TLS files were replaced by unusable ones; the old ones stay in use")
        return self._context

    def _changed_at(self) -> list[int]:
        times: list[int] = []
        for path in self._tls.files():
            with suppress(OSError):
                times.append(path.stat().st_mtime_ns)
        return times


def _server_context(tls: Tls) -> ssl.SSLContext:
    context = _context(ssl.PROTOCOL_TLS_SERVER, tls)
    context.sslsocket_class = TlsSocket
    return context


class TlsConnecting:
    """TLS of one association that we ask for; knows why it failed, which pynetdicom tells to its log only."""

    def __init__(self, tls: Tls, host: str) -> None:
        """Read the files.

        Raises:
            SettingsError: one is missing or does not fit.
        """
        self.fault = ""
        """Why the handshake failed, or why the peer refused our certificate; empty if neither happened."""
        self.peer_name = tls.peer_name or host
        self.context = _context(ssl.PROTOCOL_TLS_CLIENT, tls)
        self.context.sslsocket_class = _telling(self._note)

    def _note(self, error: ssl.SSLError) -> None:
        self.fault = self.fault or fault_of(error)


def _telling(note: Callable[[ssl.SSLError], None]) -> type[ssl.SSLSocket]:
    class Telling(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            with telling():
                super().do_handshake(block)

        def read(self, len: int = 1024, buffer: Any = None) -> Any:
            # A peer says only after the handshake of TLS 1.3 that it refuses our certificate.
            with telling():
                # All other ways of reading end here.
                return super().read(len, buffer)  # pyright: ignore[reportDeprecated]

    @contextmanager
    def telling() -> Generator[None, None, None]:
        try:
            yield
        except ssl.SSLError as exc:
            note(exc)
            raise

    return Telling


def validity(certificate_file: Path, key_file: Path) -> tuple[datetime, datetime]:
    """Return from when until when a certificate of ours is valid.

    Python decodes only certificates that a handshake has shown: one is made in memory, with ourselves.

    Raises:
        SettingsError: a file is missing, or they do not fit together.
    """
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(NO_CHECK_TIME)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    with _told_by_file(certificate_file, key_file):
        server.load_cert_chain(certificate_file, key_file, password=_no_password)
        client.load_verify_locations(certificate_file)
        asking = client.wrap_bio(to_client, to_server)
        answering = server.wrap_bio(to_server, to_client, server_side=True)
        for side in (asking, answering, asking):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    shown: dict[str, Any] = asking.getpeercert() or {}
    not_before, not_after = (ssl.cert_time_to_seconds(str(shown[key])) for key in ("notBefore", "notAfter"))
    return datetime.fromtimestamp(not_before, UTC), datetime.fromtimestamp(not_after, UTC)


def names_in(certificate: dict[str, Any]) -> frozenset[str]:
    """Return the names that a certificate was made for: its DNS and IP names, else its common name.

    `certificate` is what `SSLSocket.getpeercert` returns.
    """
    alternative = [str(name) for _, name in certificate.get("subjectAltName", ())]
    subject = [pair for group in certificate.get("subject", ()) for pair in group]
    common = [str(value) for key, value in subject if key == "commonName"]
    return frozenset(alternative or common)

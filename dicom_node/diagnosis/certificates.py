"""Whether certificates hold: a handshake says what is wrong with one, and until when it is valid."""

import socket
import ssl
import time
from pathlib import Path
from typing import Final

from dicom_node.diagnosis.faults import Check, Fault, faulty, fine
from dicom_node.diagnosis.reach import LONGEST_WAIT_S

DAY_S: Final = 86400
EARLY_DAYS: Final = 30
"""Days before its end from which on a certificate is warned of."""
_BY_CODE: Final[dict[int, Fault]] = {
    9: Fault.CERTIFICATE_NOT_YET_VALID,
    10: Fault.CERTIFICATE_EXPIRED,
    62: Fault.CERTIFICATE_OTHER_HOST,
    63: Fault.CERTIFICATE_OTHER_HOST,
    64: Fault.CERTIFICATE_OTHER_HOST,
}
"""Errors of OpenSSL's verification (X509_V_ERR_…); any other is one of trust."""


def server_certificate_check(name: str, host: str, port: int, context: ssl.SSLContext) -> Check:
    """Shake hands with a server and judge its certificate by `context`."""
    try:
        with (
            socket.create_connection((host, port), timeout=LONGEST_WAIT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as connection,
        ):
            return _until(name, connection.getpeercert(), owner=host)
    except ssl.SSLCertVerificationError as exc:
        return _unverified(name, exc, host)
    except OSError as exc:
        detail = exc.reason if isinstance(exc, ssl.SSLError) else type(exc).__name__
        return faulty(name, Fault.TLS, str(detail))


def own_certificate_check(name: str, certificate: Path, key: Path) -> Check:
    """Judge a certificate of ours, and whether the key is its own, without a network."""
    try:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificate, key, password="")
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        # Whoever signed it: it is its dates that are looked at.
        client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        client.load_verify_locations(certificate)
        return _until(name, _shaken_hands(client, server), owner=str(certificate))
    except ssl.SSLCertVerificationError as exc:
        return _unverified(name, exc, str(certificate))
    except OSError as exc:
        return faulty(name, Fault.CERTIFICATE_UNREADABLE, exc.strerror or type(exc).__name__)


def _shaken_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> object:
    """Let the two speak in memory; return what `getpeercert` tells of the certificate that was accepted."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (asking, answering, asking):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return asking.getpeercert()


def _unverified(name: str, exc: ssl.SSLCertVerificationError, owner: str) -> Check:
    fault = _BY_CODE.get(exc.verify_code, Fault.CERTIFICATE_UNTRUSTED)
    return faulty(name, fault, exc.verify_message, owner=owner)


def _until(name: str, certificate: object, *, owner: str) -> Check:
    """Judge the end of a valid certificate; `certificate` is as `SSLSocket.getpeercert` returns it."""
    if not isinstance(certificate, dict) or "notAfter" not in certificate:
        return fine(name, "accepted")
    end = str(certificate["notAfter"])
    days = (ssl.cert_time_to_seconds(end) - time.time()) / DAY_S
    if days > EARLY_DAYS:
        return fine(name, f"valid until {end}")
    detail = f"{end}, in {days:.0f} days"
    return faulty(name, Fault.CERTIFICATE_EXPIRES, detail, is_needed=False, owner=owner)

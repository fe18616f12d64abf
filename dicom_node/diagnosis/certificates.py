"""Whether certificates hold: a handshake says what is wrong with one, and until when it is valid."""

import socket
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dicom_node.diagnosis.faults import Check, Fault, faulty, fine
from dicom_node.diagnosis.reach import LONGEST_WAIT_S
from dicom_node.errors import SettingsError
from dicom_node.tls import validity

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


def server_certificate_check(
    name: str, host: str, port: int, context: ssl.SSLContext, *, named: str = ""
) -> Check:
    """Shake hands with a server and judge its certificate by `context`; it bears `named`, else its host."""
    try:
        with (
            socket.create_connection((host, port), timeout=LONGEST_WAIT_S) as plain,
            context.wrap_socket(plain, server_hostname=named or host) as connection,
        ):
            shown = connection.getpeercert()
            if not shown:
                return fine(name, "accepted")
            return _until(name, ssl.cert_time_to_seconds(str(shown["notAfter"])), owner=host)
    except ssl.SSLCertVerificationError as exc:
        return _unverified(name, exc, host)
    except OSError as exc:
        detail = exc.reason if isinstance(exc, ssl.SSLError) else type(exc).__name__
        return faulty(name, Fault.TLS, str(detail))


def own_certificate_check(name: str, certificate: Path, key: Path) -> Check:
    """Judge a certificate of ours, and whether the key is its own, without a network."""
    try:
        not_before, not_after = validity(certificate, key)
    except SettingsError as exc:
        return faulty(name, Fault.CERTIFICATE_UNREADABLE, str(exc))
    now = datetime.now(UTC)
    if not_after < now:
        return faulty(name, Fault.CERTIFICATE_EXPIRED, f"{not_after:%Y-%m-%d}", owner=certificate)
    if now < not_before:
        return faulty(name, Fault.CERTIFICATE_NOT_YET_VALID, f"{not_before:%Y-%m-%d}", owner=certificate)
    return _until(name, not_after.timestamp(), owner=str(certificate))


def _unverified(name: str, exc: ssl.SSLCertVerificationError, owner: str) -> Check:
    fault = _BY_CODE.get(exc.verify_code, Fault.CERTIFICATE_UNTRUSTED)
    return faulty(name, fault, exc.verify_message, owner=owner)


def _until(name: str, end_s: float, *, owner: str) -> Check:
    """Judge the end of a valid certificate, in seconds since 1970."""
    days = (end_s - time.time()) / DAY_S
    end = f"{datetime.fromtimestamp(end_s, UTC):%Y-%m-%d}"
    if days > EARLY_DAYS:
        return fine(name, f"valid until {end}")
    detail = f"{end}, in {days:.0f} days"
    return faulty(name, Fault.CERTIFICATE_EXPIRES, detail, is_needed=False, owner=owner)

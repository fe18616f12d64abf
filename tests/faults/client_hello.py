"""A first word of TLS in any version, with any suite (RFC 8446 4.1.2, RFC 6101), as no library says it."""

import socket
import struct
from contextlib import suppress

ALERT, HANDSHAKE = 21, 22
SSL_3_0, TLS_1_0, TLS_1_1, TLS_1_2 = range(0x0300, 0x0304)

GOOD_SUITES = {"ECDHE-RSA-AES128-GCM-SHA256": 0xC02F, "ECDHE-RSA-AES256-GCM-SHA384": 0xC030}
WEAK_SUITES = {
    "NULL-MD5": 0x0001,
    "NULL-SHA": 0x0002,
    "EXP-RC4-MD5": 0x0003,
    "RC4-SHA": 0x0005,
    "DES-CBC-SHA": 0x0009,
    "DES-CBC3-SHA": 0x000A,
    "AES128-SHA": 0x002F,
    "DHE-RSA-AES128-SHA": 0x0033,
    "ADH-AES128-SHA": 0x0034,
    "AES256-SHA": 0x0035,
    "NULL-SHA256": 0x003B,
    "AES128-SHA256": 0x003C,
    "AES128-GCM-SHA256": 0x009C,
    "ADH-AES128-GCM-SHA256": 0x00A6,
    "ECDHE-RSA-NULL-SHA": 0xC010,
    "ECDHE-RSA-RC4-SHA": 0xC011,
    "ECDHE-RSA-DES-CBC3-SHA": 0xC012,
    "ECDHE-RSA-AES128-SHA": 0xC013,
    "AECDH-AES128-SHA": 0xC018,
    "ECDHE-RSA-AES128-SHA256": 0xC027,
    "ECDHE-RSA-AES256-SHA384": 0xC028,
}
"""By OpenSSL's names and IANA's numbers; all but the anonymous ones fit a server with an RSA certificate."""


def _extension(number: int, words: tuple[int, ...]) -> bytes:
    listed = b"".join(struct.pack(">H", word) for word in words)
    return struct.pack(">HHH", number, len(listed) + 2, len(listed)) + listed


def client_hello(version: int, suites: tuple[int, ...]) -> bytes:
    groups = _extension(10, (0x001D, 0x0017))
    # RSA-PSS, ECDSA and PKCS 1 with SHA-256.
    signatures = _extension(13, (0x0804, 0x0403, 0x0401))
    listed = b"".join(struct.pack(">H", suite) for suite in suites)
    body = (
        struct.pack(">H", version)
        + bytes(range(32))
        + b"\0"
        + struct.pack(">H", len(listed))
        + listed
        + b"\1\0"
    )
    if version > SSL_3_0:
        body += struct.pack(">H", len(groups + signatures)) + groups + signatures
    message = b"\1" + struct.pack(">L", len(body))[1:] + body
    return struct.pack(">BHH", HANDSHAKE, min(version, TLS_1_0), len(message)) + message


def first_answer(port: int, version: int, suites: tuple[int, ...]) -> int:
    """Return the kind of record that a server answers with; 0 if it hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(client_hello(version, suites))
        with suppress(ConnectionError):
            return next(iter(connection.recv(1)), 0)
    return 0

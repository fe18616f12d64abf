"""Peers with bad certificates, old versions, weak suites or another's name at a port that speaks TLS."""

import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.certificates import Authority, Identity, self_signed, tls_table
from tests.driving import wait_until
from tests.faults.client_hello import (
    ALERT,
    GOOD_SUITES,
    HANDSHAKE,
    SSL_3_0,
    TLS_1_0,
    TLS_1_1,
    TLS_1_2,
    WEAK_SUITES,
    first_answer,
)
from tests.faults.raw_peer import AC, RJ, RawPeer, associate_rq
from tests.integration.dicom_node.programs import NodeProcess

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
CALLERS = """
[[node.callers]]
ae_title = "CT1"
addresses = ["127.0.0.1"]
certificate_name = "ct1.hospital.example"
[[node.callers]]
ae_title = "CT2"
addresses = ["127.0.0.1"]
certificate_name = "ct2.hospital.example"
"""


@dataclass(frozen=True, slots=True)
class Hospital:
    """An authority, what it has signed, and what others have."""

    authority: Authority
    good: dict[str, Identity]
    bad: dict[str, Identity]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder / "hospital")
    good = {
        "node": authority.issue("node", kind="2048"),
        "CT1": authority.issue("CT1", host="DNS:ct1.hospital.example"),
        "CT2": authority.issue("CT2", host="DNS:ct2.hospital.example"),
    }
    ct1 = "DNS:ct1.hospital.example"
    bad = {
        "expired": authority.issue("expired", host=ct1, days=(-9, -1)),
        "not yet valid": authority.issue("early", host=ct1, days=(1, 9)),
        "of another authority": Authority(folder / "other", "Other CA").issue("CT1", host=ct1),
        "of an authority of the same name": Authority(folder / "namesake").issue("CT1", host=ct1),
        "signed by itself": self_signed(folder / "self"),
        "for servers only": authority.issue("server", host=ct1, use="serverAuth"),
        "with a short key": authority.issue("short", host=ct1, kind="1024"),
        "signed with SHA-1": authority.issue("sha1", host=ct1, digest="sha1"),
        "revoked": authority.issue("revoked", host=ct1),
    }
    authority.revoke(bad["revoked"])
    return Hospital(authority, good, bad)


@pytest.fixture(scope="module")
def node(hospital: Hospital, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    table = tls_table(
        hospital.good["node"], hospital.authority, crl_file=hospital.authority.revocation_list()
    )
    extra = f"tls = true\n{CALLERS}{table}"
    running = NodeProcess(tmp_path_factory.mktemp("node"), extra=extra).start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log


def client(identity: Identity | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """A peer that believes everything and is not above weak keys."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    return context


def answer_to(
    node: NodeProcess, context: ssl.SSLContext, calling: str = "CT1", *, called: str = "MEDVERSA"
) -> tuple[int, bytes]:
    """Ask for an association over TLS; (0, b"") if none is talked about."""
    with RawPeer(node.port) as peer, suppress(ssl.SSLError, ConnectionError):
        peer.socket = context.wrap_socket(peer.socket)
        peer.socket.sendall(associate_rq(called, calling))
        return peer.read()
    return 0, b""


def new_lines(node: NodeProcess, before: int, expected: str) -> str:
    """Wait until the node has logged what is expected; return all that it has logged since."""
    wait_until(lambda: expected in node.log[before:], 15, f"the log says: {expected}")
    return node.log[before:]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_T23_good_certificate_passes(hospital: Hospital, node: NodeProcess, version: ssl.TLSVersion) -> None:
    assert answer_to(node, client(hospital.good["CT1"], version))[0] == AC


FAULTS = {
    "expired": "certificate has expired",
    "not yet valid": "certificate is not yet valid",
    "of another authority": "unable to get local issuer certificate",
    "of an authority of the same name": "unable to get local issuer certificate",
    "signed by itself": "self-signed certificate",
    "for servers only": "unsuitable certificate purpose",
    "with a short key": "EE certificate key too weak",
    "signed with SHA-1": "CA signature digest algorithm too weak",
    "revoked": "certificate revoked",
}
"""What OpenSSL says of each (x509_txt.c)."""


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("fault", FAULTS)
def test_T23_bad_certificate_is_refused_and_logged(
    hospital: Hospital, node: NodeProcess, fault: str, version: ssl.TLSVersion
) -> None:
    before = len(node.log)

    assert answer_to(node, client(hospital.bad[fault], version)) == (0, b"")

    said = new_lines(node, before, f"fault={FAULTS[fault]}")
    assert "connection refused peer=127.0.0.1" in said
    assert "hospital.example" not in said


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_T23_no_certificate_is_refused(node: NodeProcess, version: ssl.TLSVersion) -> None:
    before = len(node.log)

    assert answer_to(node, client(None, version)) == (0, b"")

    new_lines(node, before, "fault=peer did not return a certificate")


def test_T23_plain_dicom_is_refused(node: NodeProcess) -> None:
    before = len(node.log)
    with RawPeer(node.port) as peer:
        peer.socket.sendall(associate_rq("MEDVERSA", "CT1"))
        assert peer.read()[0] != AC

    new_lines(node, before, "fault=wrong version number")


@pytest.mark.parametrize("version", [SSL_3_0, TLS_1_0, TLS_1_1], ids=["SSL 3.0", "TLS 1.0", "TLS 1.1"])
def test_T23_old_version_is_refused(node: NodeProcess, version: int) -> None:
    every_suite = (*GOOD_SUITES.values(), *WEAK_SUITES.values())

    assert first_answer(node.port, version, every_suite) in (ALERT, 0)


@pytest.mark.parametrize("suite", GOOD_SUITES)
def test_T23_suite_of_the_profile_is_taken(node: NodeProcess, suite: str) -> None:
    assert first_answer(node.port, TLS_1_2, (GOOD_SUITES[suite],)) == HANDSHAKE


@pytest.mark.parametrize("suite", WEAK_SUITES)
def test_T23_weak_suite_is_refused(node: NodeProcess, suite: str) -> None:
    before = len(node.log)

    assert first_answer(node.port, TLS_1_2, (WEAK_SUITES[suite],)) in (ALERT, 0)

    new_lines(node, before, "fault=no shared cipher")


def test_T23_renegotiation_is_refused(hospital: Hospital, node: NodeProcess) -> None:
    own = hospital.good["CT1"]
    command = ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{node.port}"]
    command += ["-cert", str(own.certificate), "-key", str(own.key)]

    answer = subprocess.run(command, input="R\n", capture_output=True, text=True, timeout=30, check=False)

    assert "RENEGOTIATING" in answer.stdout + answer.stderr
    assert "no renegotiation" in answer.stdout + answer.stderr


def test_T23_thousand_half_open_handshakes_keep_nobody_out(hospital: Hospital, node: NodeProcess) -> None:
    context, slowest_s = client(hospital.good["CT1"]), 0.0
    for batch in range(10):
        silent = [RawPeer(node.port, f"127.0.0.{2 + batch}") for _ in range(100)]
        try:
            began = time.monotonic()
            assert answer_to(node, context)[0] == AC
            slowest_s = max(slowest_s, time.monotonic() - began)
            if batch == 9:
                assert all(peer.is_closed_by_peer() for peer in silent)
        finally:
            for peer in silent:
                peer.socket.close()

    assert slowest_s < 10


def test_T24_certificate_of_one_device_does_not_serve_another(hospital: Hospital, node: NodeProcess) -> None:
    before = len(node.log)

    kind, body = answer_to(node, client(hospital.good["CT2"]), "CT1")

    # PS3.8 9.3.4: permanent, by the service user, calling AE title not recognised.
    assert (kind, tuple(body[1:4])) == (RJ, (1, 1, 3))
    assert "certificate of another" in new_lines(node, before, "association rejected")
    assert answer_to(node, client(hospital.good["CT2"]), "CT2")[0] == AC


def test_T25_replaced_certificates_and_lists_are_taken_without_a_restart(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    peer = authority.issue("CT1")
    first, second = authority.issue("first"), authority.issue("second")
    own = Identity(tmp_path / "own.pem", tmp_path / "own.key")
    revoked = authority.revocation_list()
    take(own, first)
    table = tls_table(own, authority, crl_file=revoked)
    folder = tmp_path / "node"
    folder.mkdir()
    # One receiver: each looks when it is called, and keeps what it had where what is there now is no good.
    node = NodeProcess(folder, extra=f"receivers = 1\ntls = true\n{table}").start()
    try:
        assert certificate_shown_at(node.port, client(peer)) == der(first)
        take(own, second)
        assert certificate_shown_at(node.port, client(peer)) == der(second)
        assert answer_to(node, client(peer))[0] == AC
        authority.revoke(peer)
        authority.revocation_list()
        assert answer_to(node, client(peer)) == (0, b"")
        own.certificate.write_text("no certificate")
        assert certificate_shown_at(node.port, client(peer)) == der(second)
    finally:
        node.stop()
    assert "the old ones stay in use" in node.log


def take(own: Identity, other: Identity) -> None:
    own.key.write_bytes(other.key.read_bytes())
    own.certificate.write_bytes(other.certificate.read_bytes())


def der(identity: Identity) -> bytes:
    return ssl.PEM_cert_to_DER_cert(identity.certificate.read_text())


def certificate_shown_at(port: int, context: ssl.SSLContext) -> bytes | None:
    with RawPeer(port) as peer:
        peer.socket = secured = context.wrap_socket(peer.socket)
        return secured.getpeercert(binary_form=True)

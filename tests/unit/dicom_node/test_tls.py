"""TLS as configured: which files, for whom, and what is told when they cannot be used."""

import shutil
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicom_node.errors import SettingsError
from dicom_node.settings import load_settings
from dicom_node.tls import Tls, TlsConnecting, TlsListening, fault_of, names_in, validity
from tests.certificates import Authority, Identity, openssl

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

TABLE = '[tls]\ncertificate_file = "own.pem"\nkey_file = "own.key"\nca_file = "/etc/ca.pem"\n'
PEER = '[[destinations]]\nname = "a"\nae_title = "A"\nport = 104\n'


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture(scope="module")
def own(authority: Authority) -> Identity:
    return authority.issue("own", days=(-3, 40))


def tls_of(identity: Identity, authority: Authority) -> Tls:
    return Tls(certificate_file=identity.certificate, key_file=identity.key, ca_file=authority.certificate)


def test_one_table_serves_all_who_ask_for_it(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    own_authority = 'tls = { ca_file = "pacs.pem", peer_name = "pacs.example" }\n'
    without = PEER.replace('"a"', '"b"') + "tls = false\n"
    path.write_text(f"[node]\ntls = true\n{TABLE}{PEER}{own_authority}{without}")

    settings = load_settings(path, {})

    assert settings.node.tls == settings.tls
    assert settings.tls is not None
    assert settings.tls.files() == (tmp_path / "own.pem", tmp_path / "own.key", Path("/etc/ca.pem"))
    special, plain = settings.destinations
    assert special.tls == settings.tls.model_copy(
        update={"ca_file": tmp_path / "pacs.pem", "peer_name": "pacs.example"}
    )
    assert plain.tls is None


def test_tls_without_its_table_is_told(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(f"{PEER}tls = true\n")

    with pytest.raises(SettingsError, match=r"needs a table \[tls\]"):
        load_settings(path, {})


def test_certificate_of_a_caller_without_tls_is_told(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text('[[node.callers]]\nae_title = "A"\ncertificate_name = "a.example"\n')

    with pytest.raises(SettingsError, match="needs tls = true"):
        load_settings(path, {})


def test_validity_is_that_of_the_certificate(own: Identity) -> None:
    not_before, not_after = validity(own.certificate, own.key)

    now, slack = datetime.now(UTC), timedelta(minutes=10)
    assert abs(not_before - (now - timedelta(days=3))) < slack
    assert abs(not_after - (now + timedelta(days=40))) < slack


@pytest.mark.parametrize("days", [(-9, -1), (1, 9)])
def test_certificate_that_is_not_valid_now_is_not_served_with(
    authority: Authority, days: tuple[float, float]
) -> None:
    with pytest.raises(SettingsError, match="is valid from"):
        TlsListening(tls_of(authority.issue(f"days {days[0]}", days=days), authority))


def test_files_that_do_not_fit_are_told(authority: Authority, own: Identity, tmp_path: Path) -> None:
    other = authority.issue("other")
    nothing = tmp_path / "nothing.pem"
    good = tls_of(own, authority)
    told = {
        "key values mismatch": {"key_file": other.key},
        "No such file": {"certificate_file": nothing},
        "no certificate or crl found": {"ca_file": own.key},
        "not in PEM format": {"key_file": own.certificate},
    }
    for fault, change in told.items():
        with pytest.raises(SettingsError, match=fault):
            TlsListening(good.model_copy(update=change))
        with pytest.raises(SettingsError, match=fault):
            TlsConnecting(good.model_copy(update=change), "127.0.0.1")


def test_encrypted_key_is_told_and_nobody_is_asked(
    authority: Authority, own: Identity, tmp_path: Path
) -> None:
    encrypted = tmp_path / "encrypted.key"
    openssl("pkey", "-in", own.key, "-aes256", "-passout", "pass:secret", "-out", encrypted)

    with pytest.raises(SettingsError, match="is encrypted"):
        TlsListening(tls_of(own, authority).model_copy(update={"key_file": encrypted}))


def test_names_are_the_alternative_ones_else_the_common_name() -> None:
    subject = ((("organizationName", "Hospital"),), (("commonName", "ct1"),))
    alternative = (("DNS", "ct1.example"), ("IP Address", "192.0.2.1"))

    assert names_in({"subject": subject, "subjectAltName": alternative}) == {"ct1.example", "192.0.2.1"}
    assert names_in({"subject": subject}) == {"ct1"}
    assert names_in({}) == frozenset()


def test_faults_are_words() -> None:
    assert fault_of(TimeoutError()) == "no handshake in time"
    assert fault_of(ConnectionResetError()) == "connection broke"
    assert fault_of(ssl.SSLError()) == "handshake broke off"


@pytest.mark.parametrize("kind", ["destinations", "modalities", "worklists", "query_retrieve"])
def test_every_dicom_peer_may_be_called_over_tls(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "node.toml"
    path.write_text(f"{TABLE}{PEER.replace('destinations', kind)}tls = true\n")

    settings = load_settings(path, {})

    (peer,) = getattr(settings, kind)
    assert peer.tls == settings.tls

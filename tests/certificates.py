"""Certificates for tests, good and bad, made by an authority of their own with openssl."""

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

CONFIGURATION = """
[ca]
default_ca = own
[own]
database = {folder}/index
serial = {folder}/serial
new_certs_dir = {folder}
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_md = sha256
default_crl_days = 30
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
"""


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)


def _time(days: float) -> str:
    """Return days from now as ASN.1 writes a time."""
    return f"{datetime.now(UTC) + timedelta(days=days):%Y%m%d%H%M%SZ}"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key."""

    certificate: Path
    key: Path


def _new_key(path: Path, kind: str) -> Path:
    """Make a private key, kind `EC` (P-256) or the bits of an RSA key."""
    choice = ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    if kind != "EC":
        choice = ["RSA", "-pkeyopt", f"rsa_keygen_bits:{kind}"]
    openssl("genpkey", "-algorithm", *choice, "-out", path)
    path.chmod(0o600)
    return path


class Authority:
    """Signs what it is asked to sign."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.certificate = folder / "ca.pem"
        self._configuration = folder / "ca.cnf"
        self._configuration.write_text(CONFIGURATION.format(folder=folder))
        (folder / "index").write_text("")
        (folder / "serial").write_text("01\n")
        key = _new_key(folder / "ca.key", "EC")
        extensions = (
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=keyCertSign,cRLSign",
        )
        request = ("req", "-x509", "-new", "-config", self._configuration, "-key", key, "-days", "30")
        openssl(*request, "-subj", f"/CN={name}", *extensions, "-out", self.certificate)

    def issue(
        self,
        name: str,
        *,
        host: str = "IP:127.0.0.1",
        days: tuple[float, float] = (-1, 20),
        use: str = "",
        kind: str = "EC",
        digest: str = "sha256",
    ) -> Identity:
        """Sign a certificate; `host` is its subjectAltName, `days` its validity from now, `use` its EKU."""
        file = name.replace(" ", "_")
        key = _new_key(self.folder / f"{file}.key", kind)
        request, signed = self.folder / f"{file}.csr", self.folder / f"{file}.pem"
        extensions = [f"subjectAltName={host}"] if host else []
        extensions += [f"extendedKeyUsage={use}"] if use else []
        added = [word for extension in extensions for word in ("-addext", extension)]
        ask = ("req", "-new", "-config", self._configuration, "-key", key, "-subj", f"/CN={name}")
        openssl(*ask, *added, "-out", request)
        when = ("-startdate", _time(days[0]), "-enddate", _time(days[1]))
        sign = ("ca", "-batch", "-notext", "-config", self._configuration, "-in", request, "-out", signed)
        openssl(*sign, *when, "-md", digest)
        return Identity(signed, key)

    def revoke(self, identity: Identity) -> None:
        openssl("ca", "-config", self._configuration, "-revoke", identity.certificate)

    def revocation_list(self) -> Path:
        path = self.folder / "crl.pem"
        openssl("ca", "-config", self._configuration, "-gencrl", "-out", path)
        return path


def self_signed(folder: Path, name: str = "self") -> Identity:
    """Make a certificate that nobody vouches for."""
    authority = Authority(folder, name)
    return Identity(authority.certificate, folder / "ca.key")


def tls_table(own: Identity, authority: Authority, *, crl_file: Path | None = None) -> str:
    """Return `[tls]` of a node's configuration."""
    files = {"certificate_file": own.certificate, "key_file": own.key, "ca_file": authority.certificate}
    files |= {} if crl_file is None else {"crl_file": crl_file}
    return "\n".join(["[tls]", *(f'{key} = "{path}"' for key, path in files.items()), ""])

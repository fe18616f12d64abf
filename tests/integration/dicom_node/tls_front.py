"""Certificates in every state, and a server over TLS that bears one."""

import ssl
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.integration.dicom_node.programs import run


def openssl(*arguments: str) -> None:
    done = run("openssl", *arguments)
    assert done.returncode == 0, done.stderr


def issued(folder: Path, name: str, days: int, host: str = "IP:127.0.0.1") -> Path:
    """Have OpenSSL make a self-signed certificate with its key in one file; valid `days` from now."""
    made = folder / f"{name}.pem"
    subject = ("-subj", f"/CN={name}", "-addext", f"subjectAltName={host}")
    key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
    request = folder / f"{name}.csr"
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(request), *subject)
    start = datetime.now(UTC) + timedelta(days=min(days, 0) - 2)
    dates = ("-startdate", f"{start:%Y%m%d%H%M%SZ}")
    end = ("-enddate", f"{datetime.now(UTC) + timedelta(days=days):%Y%m%d%H%M%SZ}")
    authority = folder / f"{name}.ca"
    authority.mkdir()
    (authority / "index.txt").write_text("")
    config = authority / "ca.cfg"
    config.write_text(
        f"[ca]\ndefault_ca=own\n[own]\nnew_certs_dir={authority}\ndatabase={authority}/index.txt\n"
        "rand_serial=yes\ndefault_md=sha256\npolicy=any\ncopy_extensions=copy\n[any]\ncommonName=supplied\n"
    )
    signed = ("-selfsign", "-keyfile", str(key), "-in", str(request), "-out", str(certificate))
    openssl("ca", "-batch", "-notext", "-config", str(config), *dates, *end, *signed)
    made.write_text(key.read_text() + certificate.read_text())
    return made


@contextmanager
def over_tls(certificate: Path, behind: str) -> Iterator[str]:
    """Stand before an Orthanc with a certificate, as web servers do; its own TLS ends it (Debian's 1.10)."""

    class Forwarding(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with urllib.request.urlopen(behind + self.path) as answer:  # noqa: S310 (loopback)
                body = answer.read()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that does not trust us goes: that is what is tested."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Quiet(("127.0.0.1", 0), Forwarding) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()

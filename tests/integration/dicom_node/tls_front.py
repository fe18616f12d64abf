"""A server over TLS that stands before another one with a certificate."""

import ssl
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.certificates import Identity


@contextmanager
def over_tls(identity: Identity, behind: str) -> Iterator[str]:
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
    context.load_cert_chain(identity.certificate, identity.key)
    with Quiet(("127.0.0.1", 0), Forwarding) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()

"""Who is let in: by token, by scope, and from where (RFC 6750)."""

import logging
import socket
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from dicom_node.access_token import Scope, new_secret, presented
from dicom_node.database.engine import Database, open_database
from dicom_node.errors import DecisionError, RequestError, SettingsError
from dicom_node.web.access import LOCAL_CALLER, Claim, Gate
from dicom_node.web.application import TRANSACTIONS
from dicom_node.web.serving import WebService
from tests.in_process_web import RunningServer, settings_of
from tests.unit.dicom_node.conftest import TurnedClock

PLACES = {"study": "1.2.3", "series": "1.2.3.1", "instance": "1.2.3.1.1", "frames": "1", "path": "7FE00010"}
ROUTES = [
    (method, path.replace(":path", "").format(**PLACES), scope) for method, path, scope, _ in TRANSACTIONS
]
OTHER = {Scope.READ: Scope.STORE, Scope.STORE: Scope.READ}


@pytest.fixture
def gate(database: Database, clock: TurnedClock) -> Gate:
    return Gate(database.tokens, clock)


def claim(text: str | None = None, address: str = "127.0.0.1", host: str = "localhost:8104") -> Claim:
    return Claim(address, host, None if text is None else f"Bearer {text}")


def status_of(gate: Gate, claim: Claim, scope: Scope = Scope.READ) -> int | str:
    try:
        return gate.admit(claim, scope)
    except RequestError as exc:
        return int(exc.status)


def made(database: Database, name: str, *scopes: Scope, days: int | None = None) -> str:
    secret, sha256 = new_secret()
    expires_at = None if days is None else database.connections.now() + timedelta(days=days)
    return presented(database.tokens.add(name, sha256, scopes, expires_at).token_id, secret)


def test_without_any_token_programs_of_this_machine_may_do_everything(gate: Gate) -> None:
    assert {status_of(gate, claim(), scope) for scope in Scope} == {LOCAL_CALLER}
    assert status_of(gate, claim(host="[::1]:8104", address="::1")) == LOCAL_CALLER


@pytest.mark.parametrize(
    "from_elsewhere",
    [
        claim(address="192.0.2.1"),
        claim(host="attacker.example"),
        claim(host="attacker.example:8104"),
        claim(host=""),
    ],
)
def test_nobody_else_may_do_anything(gate: Gate, from_elsewhere: Claim) -> None:
    assert status_of(gate, from_elsewhere) == 401


def test_a_token_opens_what_it_was_made_for_and_nothing_else(gate: Gate, database: Database) -> None:
    token = made(database, "VIEWER", Scope.READ)
    assert status_of(gate, claim(token, "192.0.2.1"), Scope.READ) == "VIEWER"
    assert status_of(gate, claim(token, "192.0.2.1"), Scope.STORE) == 403


def test_the_first_token_ends_the_freedom_of_this_machine_for_good(gate: Gate, database: Database) -> None:
    made(database, "VIEWER", Scope.READ)
    assert status_of(gate, claim()) == 401
    database.tokens.revoke("VIEWER")
    assert status_of(gate, claim()) == 401


def test_a_token_ends_when_it_expires_or_is_revoked(
    gate: Gate, database: Database, clock: TurnedClock
) -> None:
    token = made(database, "SHORT", Scope.READ, days=1)
    clock.turn(86_399)
    assert status_of(gate, claim(token)) == "SHORT"
    clock.turn(1)
    assert status_of(gate, claim(token)) == 401

    other = made(database, "OTHER", Scope.READ)
    database.tokens.revoke("OTHER")
    assert status_of(gate, claim(other)) == 401


@pytest.mark.parametrize(
    "text",
    ["", "x", "1", "1.", ".x", "1.x", "-1.x", "٣.x", "9" * 30 + ".x", "99.x", "1.é", "1." + "x" * 10_000],
)
def test_what_is_no_token_opens_nothing(gate: Gate, database: Database, text: str) -> None:
    made(database, "VIEWER", Scope.READ)
    assert status_of(gate, claim(text)) == 401


def test_one_tokens_secret_does_not_open_with_anothers_number(gate: Gate, database: Database) -> None:
    first, second = made(database, "A", Scope.READ), made(database, "B", Scope.READ)
    mixed = f"{first.split('.')[0]}.{second.split('.')[1]}"
    assert status_of(gate, claim(mixed)) == 401


def test_only_a_hash_is_kept(database: Database, tmp_path: Path) -> None:
    token = made(database, "VIEWER", Scope.READ)
    database.close()
    secret = token.partition(".")[2].encode()
    assert len(secret) >= 43  # 256 bits in base64
    assert all(secret not in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


def test_names_are_used_once_and_revoked_once(database: Database) -> None:
    made(database, "A", Scope.READ)
    database.tokens.revoke("A")
    with pytest.raises(DecisionError):
        made(database, "A", Scope.READ)
    with pytest.raises(DecisionError):
        database.tokens.revoke("A")


def test_failed_attempts_are_logged_without_what_was_presented(
    gate: Gate, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    made(database, "VIEWER", Scope.READ)
    with caplog.at_level(logging.DEBUG):
        status_of(gate, claim("1.secretsecret", "192.0.2.7"))
    (record,) = caplog.records
    assert (record.__dict__["peer"], record.__dict__["why"]) == ("192.0.2.7", "unknown token")
    assert "secretsecret" not in str(record.__dict__)


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_X01_no_route_answers_without_the_right_token(
    server: RunningServer, method: str, path: str, scope: Scope
) -> None:
    wrong, expected = server.token("WRONG", OTHER[scope]), {"": 401, "1.x": 401, "garbage": 401}
    for token, status in (expected | {wrong: 403}).items():
        with server.client(token) as client:
            answer = client.request(method, path)
        assert answer.status_code == status
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_there_is_nothing_else_but_a_sign_of_life(server: RunningServer) -> None:
    server.token("A", *Scope)
    root = server.url.removesuffix("/dicom-web")
    assert httpx.get(f"{root}/healthz").text == "ok\n"
    for path in ("/", "/dicom-web", "/docs", "/openapi.json", "/dicom-web/../healthz/x"):
        assert httpx.get(root + path).status_code == 404


def test_a_server_for_others_needs_tokens_and_tls(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, host="0.0.0.0")  # noqa: S104 - it is refused
    with pytest.raises(SettingsError, match="make a token first"):
        WebService(settings)
    database = open_database(settings.node.database_url)
    made(database, "VIEWER", Scope.READ)
    database.close()
    with pytest.raises(SettingsError, match="certificate_file"):
        WebService(settings)


def test_a_silent_peer_is_not_waited_for(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicom_node.web.connection.HEAD_TIMEOUT_S", 0.2)
    with socket.create_connection(("127.0.0.1", server.port)) as silent:
        silent.sendall(b"GET /dicom-web/studies HTTP/1.1\r\nHost: ")
        silent.settimeout(20)
        with suppress(ConnectionResetError):
            assert silent.recv(1) == b""


def test_many_connections_of_one_peer_do_not_keep_it_from_the_first_ones(server: RunningServer) -> None:
    peers = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
    try:
        peers[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert peers[0].recv(100).startswith(b"HTTP/1.1 200 ")
    finally:
        for peer in peers:
            peer.close()

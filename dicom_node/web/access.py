"""Who may do what: bearer tokens; without any token ever made, programs of this machine may do everything."""

import ipaddress
import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from dicom_node.access_token import Scope, is_secret_of, token_id_of
from dicom_node.database.connections import Clock
from dicom_node.database.tokens import TokenRepository
from dicom_node.errors import RequestError

logger = logging.getLogger(__name__)

REALM: Final = 'Bearer realm="medversa-node"'
LOCAL_CALLER: Final = "DICOMWEB"
"""Who an instance came from, where no token says it."""
_LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of its sender."""

    address: str
    """Where the connection comes from."""
    host: str
    """The Host header, with or without a port."""
    authorization: str | None


class Gate:
    """Decides about every request; whom it sends away is logged, by address and cause alone."""

    def __init__(self, tokens: TokenRepository, now: Clock) -> None:
        self._tokens = tokens
        self._now = now

    def admit(self, claim: Claim, scope: Scope) -> str:
        """Return the name of the one who asks.

        Raises:
            RequestError: 401 without a valid token, 403 with one for something else.
        """
        if claim.authorization is None and self._is_open_to(claim):
            return LOCAL_CALLER
        return self._name_of_token(claim, scope)

    def _is_open_to(self, claim: Claim) -> bool:
        # A page from elsewhere can make a browser of this machine ask us under the page's own name.
        name = claim.host.rpartition(":")[0] if claim.host.rpartition(":")[2].isdigit() else claim.host
        return name in _LOCAL_NAMES and is_loopback(claim.address) and not self._tokens.all()

    def _name_of_token(self, claim: Claim, scope: Scope) -> str:
        kind, _, text = (claim.authorization or "").partition(" ")
        text = text.strip()
        if kind.lower() != "bearer" or not text:
            raise self._refused(claim, HTTPStatus.UNAUTHORIZED, "no bearer token", "")
        token_id = token_id_of(text)
        token = None if token_id is None else self._tokens.get(token_id)
        if not is_secret_of(text, token) or token is None:
            raise self._refused(claim, HTTPStatus.UNAUTHORIZED, "unknown token", "invalid_token")
        if not token.is_valid(self._now()):
            raise self._refused(claim, HTTPStatus.UNAUTHORIZED, "token expired or revoked", "invalid_token")
        if scope not in token.scopes:
            raise self._refused(
                claim, HTTPStatus.FORBIDDEN, "token is for something else", "insufficient_scope"
            )
        return token.name

    @staticmethod
    def _refused(claim: Claim, status: HTTPStatus, why: str, code: str) -> RequestError:
        logger.warning("request refused", extra={"peer": claim.address, "why": why, "status": status.value})
        challenge = f'{REALM}, error="{code}"' if code else REALM
        return RequestError(status, why, {"WWW-Authenticate": challenge})


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.split("%")[0]).is_loopback
    except ValueError:
        return False

"""Questions about the tokens of clients that speak HTTP."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update

from dicom_node.access_token import Scope, Token
from dicom_node.database.connections import Connections
from dicom_node.database.schema import tokens
from dicom_node.errors import DecisionError


class TokenRepository:
    """Tokens as rows; of their secrets only a hash is kept. None is ever deleted."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def add(self, name: str, sha256: str, scopes: Collection[Scope], expires_at: datetime | None) -> Token:
        """Write down a new token.

        Raises:
            DecisionError: there is, or was, one of this name: who came with it must stay clear.
        """
        row = {
            "name": name,
            "sha256": sha256,
            "scopes": " ".join(sorted(scopes)),
            "created_at": self._connections.now(),
            "expires_at": expires_at,
            "revoked_at": None,
        }
        with self._connections.writing() as connection:
            if connection.execute(select(tokens.c.token_id).where(tokens.c.name == name)).first():
                raise DecisionError(f"there is a token {name} already, valid or not: choose another name")
            made = connection.execute(insert(tokens).values(row).returning(tokens))
            return _token(made.one())

    def get(self, token_id: int) -> Token | None:
        with self._connections.reading() as connection:
            row = connection.execute(select(tokens).where(tokens.c.token_id == token_id)).one_or_none()
        return None if row is None else _token(row)

    def all(self) -> list[Token]:
        """Return every token that was ever made, oldest first."""
        with self._connections.reading() as connection:
            return [_token(row) for row in connection.execute(select(tokens).order_by(tokens.c.token_id))]

    def revoke(self, name: str) -> None:
        """End a token; once revoked it stays so.

        Raises:
            DecisionError: there is no valid one of this name.
        """
        change = (
            update(tokens)
            .where(tokens.c.name == name, tokens.c.revoked_at.is_(None))
            .values(revoked_at=self._connections.now())
        )
        with self._connections.writing() as connection:
            if not connection.execute(change).rowcount:
                raise DecisionError(f"there is no token {name} that could be revoked")


def _token(row: Row[Any]) -> Token:
    return Token(
        token_id=row.token_id,
        name=row.name,
        sha256=row.sha256,
        scopes=frozenset(map(Scope, row.scopes.split())),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )

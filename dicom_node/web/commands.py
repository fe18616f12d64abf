"""The commands `web` and `tokens`."""

import signal
import sys
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.table import Table

from dicom_node.access_token import Scope, Token, new_secret, presented
from dicom_node.commands import CONFIG
from dicom_node.database.engine import Database, open_database
from dicom_node.log_redaction import configure_logging
from dicom_node.settings import load_settings

NAME = click.argument("name")
LONGEST_NAME = 16
"""A token's name stands where C-STORE has the calling AE title."""


@click.command()
@CONFIG
@click.option("--log-level", default="INFO", show_default=True, help="DEBUG, INFO, WARNING or ERROR.")
@click.option("--log-json", is_flag=True, help="Log one JSON object per line.")
def web(config: Path | None, log_level: str, log_json: bool) -> None:
    """Serve DICOMweb (STOW-RS, QIDO-RS, WADO-RS) on the node's own store.

    Runs beside `serve`, which completes and dispatches what comes in here. Only programs of this machine are
    let in before the first token is made. Stops on SIGTERM or SIGINT: requests under way may finish.
    """
    from dicom_node.web.serving import WebService

    settings = load_settings(config)
    configure_logging(log_level, as_json=log_json)

    def on_signal(number: int, frame: FrameType | None) -> None:
        """Do nothing: the server has its own handler while it runs, and sends the signal again afterwards."""

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    WebService(settings).run()


@click.group()
def tokens() -> None:
    """Make, list and revoke the bearer tokens of DICOMweb clients."""


@tokens.command()
@CONFIG
@NAME
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    required=True,
    help="What it is good for: read (search and retrieve) or store; may be given twice.",
)
@click.option("--days", type=click.IntRange(1), help="Days after which it expires. Default: never.")
def make(config: Path | None, name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make a token called NAME and print it, this once: only its hash is kept."""
    if not 1 <= len(name) <= LONGEST_NAME or not (name.isascii() and name.isprintable()) or "\\" in name:
        raise click.BadParameter(f"a name has 1 to {LONGEST_NAME} printable ASCII characters, no backslash")
    database = _database(config)
    try:
        expires_at = None if days is None else database.connections.now() + timedelta(days=days)
        secret, sha256 = new_secret()
        token = database.tokens.add(name, sha256, {Scope(scope) for scope in scopes}, expires_at)
    finally:
        database.close()
    click.echo(presented(token.token_id, secret))


@tokens.command("list")
@CONFIG
def list_tokens(config: Path | None) -> None:
    """List every token that was ever made, without what would let anybody use it."""
    database = _database(config)
    try:
        found, now = database.tokens.all(), database.connections.now()
    finally:
        database.close()
    table = Table("name", "scopes", "made", "expires", "state")
    for token in found:
        table.add_row(
            token.name,
            " ".join(sorted(token.scopes)),
            _date(token.created_at),
            "never" if token.expires_at is None else _date(token.expires_at),
            _state(token, now),
        )
    console = Console() if sys.stdout.isatty() else Console(width=120)
    console.print(table)


@tokens.command()
@CONFIG
@NAME
def revoke(config: Path | None, name: str) -> None:
    """Make the token called NAME useless, at once and for good."""
    database = _database(config)
    try:
        database.tokens.revoke(name)
    finally:
        database.close()
    click.echo(f"{name} is revoked")


def _database(config: Path | None) -> Database:
    node = load_settings(config).node
    node.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return open_database(node.database_url)


def _date(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")


def _state(token: Token, now: datetime) -> str:
    if token.revoked_at is not None:
        return f"revoked {_date(token.revoked_at)}"
    return "valid" if token.is_valid(now) else "expired"

"""The command `tokens`: made once, shown once, ended for good."""

from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dicom_node.access_token import Scope, is_secret_of, token_id_of
from dicom_node.database.engine import open_database
from dicom_node.web.commands import tokens


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "node.toml"
    path.write_text('[node]\ndata_dir = "data"\n')
    return path


def run(config: Path, command: str, *arguments: str) -> Result:
    return CliRunner().invoke(tokens, [command, "--config", str(config), *arguments])


def test_a_token_is_printed_once_and_works(config: Path) -> None:
    printed = run(config, "make", "VIEWER", "--scope", "read", "--days", "30").output.strip()

    database = open_database(f"sqlite:///{config.parent}/data/node.sqlite")
    kept = database.tokens.get(token_id_of(printed) or 0)
    database.close()
    assert kept is not None
    assert (kept.name, kept.scopes) == ("VIEWER", {Scope.READ})
    assert kept.expires_at is not None
    assert abs(kept.expires_at - kept.created_at - timedelta(days=30)) < timedelta(minutes=1)
    assert is_secret_of(printed, kept)
    listed = run(config, "list").output
    assert "VIEWER" in listed
    assert printed.partition(".")[2] not in listed


def test_revoked_tokens_stay_in_the_list(config: Path) -> None:
    run(config, "make", "GATEWAY", "--scope", "store", "--scope", "read")
    assert run(config, "revoke", "GATEWAY").exit_code == 0
    assert "revoked" in run(config, "list").output
    assert run(config, "revoke", "GATEWAY").exit_code != 0


@pytest.mark.parametrize("name", ["", "x" * 17, "a\\b", "é", "a\nb"])
def test_a_name_must_fit_where_c_store_has_the_calling_ae_title(config: Path, name: str) -> None:
    assert run(config, "make", name, "--scope", "read").exit_code != 0


def test_a_scope_must_be_given(config: Path) -> None:
    assert run(config, "make", "A").exit_code != 0
    assert run(config, "make", "A", "--scope", "admin").exit_code != 0

"""A node that has lost one of its threads ends with an error, so that it is started again."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.dicom_node.programs import ENVIRONMENT, free_port

FAILING = """
import sys
from dicom_node.cli import main
from {module} import {owner}

def fail(*_):
    raise LookupError("unforeseen")

{owner}.{method} = fail
sys.argv[1:] = ["serve", "--config", sys.argv[1]]
main()
"""
PARTS = {
    "registrar": ("dicom_node.receivers.registrar", "Registrar", "_run"),
    "dispatch": ("dicom_node.dispatch", "Dispatcher", "sweep"),
    "orders": ("dicom_node.orders.asking", "OrderFinder", "run"),
    "front": ("dicom_node.receivers.front", "Front", "_accept"),
}


@pytest.mark.parametrize("part", PARTS)
def test_node_ends_with_an_error_when_a_thread_fails(part: str, tmp_path: Path) -> None:
    module, owner, method = PARTS[part]
    config = tmp_path / "node.toml"
    config.write_text(f'[node]\nport = {free_port()}\ndata_dir = "{tmp_path}/data"\nreceivers = 1\n')
    program = FAILING.format(module=module, owner=owner, method=method)
    ended = subprocess.run(
        [sys.executable, "-c", program, str(config)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 1
    assert f"Error: the thread {part} has ended in an unforeseen way" in ended.stderr
    assert "LookupError" in ended.stderr

"""A node that has lost one of its parts ends with an error, to be started again; no other failure ends it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.raw_peer import echo
from tests.integration.dicom_node.programs import ENVIRONMENT, wait_until_listening
from worker.demo.servers import free_port

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

STRANGER = """
import sys, threading
from dicom_node.cli import main
from dicom_node.serving import NodeService

def fail():
    raise LookupError("a peer's nonsense")

def watch(self, watched=NodeService._watch):
    threading.Thread(target=fail, name="RequestorThread@20261126").start()
    watched(self)

NodeService._watch = watch
sys.argv[1:] = ["serve", "--config", sys.argv[1]]
main()
"""


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


def test_node_goes_on_when_a_thread_of_an_association_fails(tmp_path: Path) -> None:
    port, config = free_port(), tmp_path / "node.toml"
    config.write_text(f'[node]\nport = {port}\ndata_dir = "{tmp_path}/data"\nreceivers = 1\n')
    command = [sys.executable, "-c", STRANGER, str(config)]
    with (tmp_path / "log").open("wb") as log:
        node = subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT)
    wait_until_listening(port, node)

    assert echo(port) == 0x0000
    node.send_signal(signal.SIGTERM)
    assert node.wait(60) == 0
    assert "LookupError" in (tmp_path / "log").read_text()

"""`medversa-node web` as a process beside `medversa-node serve`: one store, one index."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydicom.uid import DigitalXRayImageStorageForPresentation

from dicom_node.database.engine import open_database
from dicom_node.study import StudyState
from tests.integration.dicom_node.programs import (
    ENVIRONMENT,
    NodeProcess,
    run,
    wait_until_listening,
)
from tests.unit.dicom_node.arrivals import write
from worker.demo.servers import free_port

STUDY = "1.2.3.77"
TYPE = 'multipart/related; type="application/dicom"; boundary=edge'
ANY = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@dataclass
class WebProcess:
    """The web server of a node."""

    node: NodeProcess
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.node.folder / "web.log").open("ab") as log:
            self.process = subprocess.Popen(self.node.command("web"), stdout=log, stderr=log, env=ENVIRONMENT)
        wait_until_listening(self.port, self.process)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def tokens(self, command: str, *arguments: str) -> str:
        start = [sys.executable, "-m", "dicom_node", "tokens", command, "--config", str(self.node.config)]
        ended = run(*start, *arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()


def post(client: httpx.Client, *paths: Path) -> None:
    head = b"--edge\r\nContent-Type: application/dicom\r\n\r\n"
    content = b"".join(head + path.read_bytes() + b"\r\n" for path in paths) + b"--edge--"
    assert client.post("/studies", content=content, headers={"Content-Type": TYPE}).status_code == 200


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.timeout(600)
def test_what_the_web_server_answered_outlives_it_and_the_node_completes_it(tmp_path: Path) -> None:
    port = free_port()
    node = NodeProcess(tmp_path, extra=f"[web]\nport = {port}\n").start()
    web = WebProcess(node, port)
    token = web.tokens("make", "CLIENT", "--scope", "read", "--scope", "store")
    web.start()
    database = open_database(f"sqlite:///{node.data_dir}/node.sqlite")
    kind = {"SOPClassUID": DigitalXRayImageStorageForPresentation, "Modality": "DX"}
    paths = [write(tmp_path, StudyInstanceUID=STUDY, **kind) for _ in range(4)]
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}/dicom-web",
        headers={"Authorization": f"Bearer {token}", "Accept": f"{ANY}, application/dicom+json"},
        timeout=60,
    )
    try:
        post(client, paths[0], paths[1])
        assert web.stop(signal.SIGKILL) == -signal.SIGKILL
        web.start()
        assert len(client.get(f"/studies/{STUDY}/instances").json()) == 2

        post(client, *paths)

        wait_for(lambda: database.studies.get(STUDY).state is StudyState.COMPLETE)
        (job,) = database.jobs.all()
        assert job.study_instance_uid == STUDY
        assert len(database.instances.of_study(STUDY)) == 4
        web.tokens("revoke", "CLIENT")
        assert client.get("/studies").status_code == 401
        log = (tmp_path / "web.log").read_text()
        assert "token expired or revoked" in log
        assert all(each not in log for each in ("Marker", token, STUDY))
    finally:
        client.close()
        database.close()
        assert web.stop() == 0
        assert node.stop() == 0

"""A DICOMweb server of our own on loopback, in a thread of the test."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from dicom_node.access_token import Scope, new_secret, presented
from dicom_node.database.engine import Database, open_database
from dicom_node.settings import Node, NodeSettings
from dicom_node.web.serving import WebService
from dicom_node.web.settings import Web
from worker.demo.servers import free_port


@dataclass(frozen=True)
class RunningServer:
    """One server, and its index by the side entrance."""

    data_dir: Path
    database: Database
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/dicom-web"

    def client(self, token: str = "", **headers: str) -> httpx.Client:
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def token(self, name: str, *scopes: Scope) -> str:
        secret, sha256 = new_secret()
        return presented(self.database.tokens.add(name, sha256, scopes, None).token_id, secret)


def settings_of(data_dir: Path, **web: Any) -> NodeSettings:
    """Settings of a server on a free port with an index in `data_dir`."""
    return NodeSettings(node=Node(data_dir=data_dir), web=Web(port=free_port(), **web))


@contextmanager
def running(data_dir: Path, **web: Any) -> Iterator[RunningServer]:
    """Run a server with settings of `[web]`."""
    settings = settings_of(data_dir, **web)
    service = WebService(settings)
    database = open_database(settings.node.database_url)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        while not service.is_serving:
            time.sleep(0.01)
        yield RunningServer(data_dir, database, settings.web.port)
    finally:
        service.stop()
        thread.join()
        database.close()

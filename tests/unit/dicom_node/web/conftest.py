"""What tests of the DICOMweb server share: servers that end with the test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.in_process_web import RunningServer, running

Serve = Callable[..., RunningServer]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a server with settings of `[web]`."""
    with ExitStack() as servers:

        def start(**web: Any) -> RunningServer:
            return servers.enter_context(running(tmp_path, **web))

        yield start


@pytest.fixture
def server(serve: Serve) -> RunningServer:
    return serve()

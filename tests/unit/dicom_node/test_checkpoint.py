"""A request that follows an answer at once has the reactor to itself."""

import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from dicom_node.upper_layer.checkpoint import Checkpoint

REQUESTS = 3000


class Reactor:
    """The library's loop as far as it pauses (pynetdicom 3.0.4, Association._run_reactor)."""

    def __init__(self) -> None:
        self._is_paused = False
        self.checkpoint: threading.Event = Checkpoint(cast(Any, self))
        self.is_request_under_way = False
        self.intrusions = 0
        self.is_over = False

    def run(self) -> None:
        while not self.is_over:
            self._is_paused = True
            self.checkpoint.wait()
            self._is_paused = False
            self.intrusions += self.is_request_under_way

    def request(self) -> None:
        """As `send_c_store` and its like do."""
        self.checkpoint.clear()
        while not self._is_paused:
            time.sleep(0)
        self.is_request_under_way = True
        time.sleep(0)
        self.is_request_under_way = False
        self.checkpoint.set()


@pytest.fixture
def hectic() -> Iterator[None]:
    """Change threads as often as a busy machine does."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hectic")
def test_reactor_never_runs_while_a_request_is_under_way() -> None:
    reactor = Reactor()
    thread = threading.Thread(target=reactor.run)
    thread.start()
    for _ in range(REQUESTS):
        reactor.request()
    reactor.is_over = True
    thread.join()

    assert reactor.intrusions == 0


def test_checkpoint_is_open_until_it_is_cleared_and_waits_no_longer_than_told() -> None:
    checkpoint = Checkpoint(cast(Any, Reactor()))

    assert checkpoint.wait(0)
    checkpoint.clear()
    assert not checkpoint.wait(0)

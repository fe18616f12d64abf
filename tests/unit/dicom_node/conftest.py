"""What the node's unit tests share: index, store and intake in a fresh folder, and a clock to turn."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicom_node.database.engine import Database, open_database
from dicom_node.intake import Intake
from dicom_node.storage import InstanceStore
from tests.unit.dicom_node.arrivals import Sender


@dataclass
class TurnedClock:
    """A clock that only the test moves."""

    now: datetime = field(default_factory=lambda: datetime(2026, 1, 2, 12, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def database(index_url: str, clock: TurnedClock) -> Iterator[Database]:
    opened = open_database(index_url, clock)
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path, database: Database) -> InstanceStore:
    return InstanceStore(tmp_path, database)


@pytest.fixture
def intake(store: InstanceStore, database: Database) -> Intake:
    return Intake(store, database)


@pytest.fixture
def sender(intake: Intake) -> Sender:
    return Sender(intake)

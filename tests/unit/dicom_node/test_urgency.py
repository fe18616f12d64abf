"""Which job is taken next: urgency first, and nothing waits for ever."""

from datetime import UTC, datetime, timedelta

import pytest

from dicom_node.database.engine import Database
from dicom_node.study import Priority, Reason, Stage
from dicom_node.urgency import overdue_at, priority_of
from tests.unit.dicom_node.arrivals import Sender, dataset
from tests.unit.dicom_node.conftest import TurnedClock

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("requested", "priority"),
    [
        ("STAT", Priority.STAT),
        ("HIGH ", Priority.HIGH),
        ("MEDIUM", Priority.ROUTINE),
        ("ROUTINE", Priority.ROUTINE),
        ("LOW", Priority.LOW),
        ("", Priority.ROUTINE),
        ("a.s.a.p.", Priority.ROUTINE),
    ],
)
def test_requested_procedure_priority_is_understood(requested: str, priority: Priority) -> None:
    assert priority_of(requested) is priority


def test_more_urgent_ones_that_come_at_one_time_go_first() -> None:
    order = [Priority.STAT, Priority.HIGH, Priority.ROUTINE, Priority.LOW]
    assert sorted(Priority, key=lambda priority: overdue_at(NOON, priority)) == order


@pytest.mark.parametrize("priority", [Priority.HIGH, Priority.ROUTINE, Priority.LOW])
def test_what_has_waited_long_enough_goes_before_a_new_stat_study(priority: Priority) -> None:
    assert overdue_at(NOON - timedelta(days=4), priority) < overdue_at(NOON, Priority.STAT)


def test_urgent_study_is_taken_before_an_older_one_until_that_has_waited_for_a_day(
    sender: Sender, database: Database, clock: TurnedClock
) -> None:
    def arrive(study: str, priority: Priority) -> None:
        sender.send(dataset(StudyInstanceUID=study))
        found = database.studies.get(study)
        assert database.studies.complete(found, Reason.QUIET_PERIOD, priority) is not None

    def next_study() -> str:
        lease = database.jobs.claim_next(Stage.READING, "worker", 60)
        assert lease is not None
        return lease.job.study_instance_uid

    arrive("1.2.1", Priority.ROUTINE)
    arrive("1.2.2", Priority.ROUTINE)
    clock.turn(23 * 3600)
    arrive("1.2.3", Priority.STAT)
    assert next_study() == "1.2.3"
    assert next_study() == "1.2.1"
    clock.turn(2 * 3600)
    arrive("1.2.4", Priority.STAT)
    assert next_study() == "1.2.2"
    assert next_study() == "1.2.4"

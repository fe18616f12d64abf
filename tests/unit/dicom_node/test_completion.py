"""When a study is complete, and when it is open again."""

from datetime import UTC, datetime, timedelta

import pytest

from dicom_node.completion import Standing, is_complete, on_arrival
from dicom_node.receivers.visits import Visits
from dicom_node.study import Reason, StudyState

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("quiet_s", "is_open", "expected"),
    [
        (0, False, False),
        (19.9, False, False),
        (20, False, True),
        (21, True, False),
        (199, True, False),
        (200, True, True),
    ],
)
def test_quiet_period_counts_and_open_associations_delay(
    quiet_s: float, is_open: bool, expected: bool
) -> None:
    last = NOW - timedelta(seconds=quiet_s)

    assert is_complete(last, NOW, 20, is_open=is_open) is expected


@pytest.mark.parametrize(
    ("state", "is_begun", "expected"),
    [
        (StudyState.RECEIVING, False, Standing(StudyState.RECEIVING, 3)),
        (StudyState.REFERENCE, False, Standing(StudyState.RECEIVING, 3)),
        (StudyState.NOT_APPLICABLE, False, Standing(StudyState.RECEIVING, 3)),
        (StudyState.COMPLETE, False, Standing(StudyState.RECEIVING, 3, Reason.LATE_INSTANCE)),
        (StudyState.COMPLETE, True, Standing(StudyState.RECEIVING, 4, Reason.LATE_INSTANCE)),
    ],
)
def test_image_moves_a_study(state: StudyState, is_begun: bool, expected: Standing) -> None:
    assert on_arrival(Standing(state, 3), is_for_reading=True, is_job_begun=is_begun) == expected


@pytest.mark.parametrize("state", list(StudyState))
def test_anything_else_moves_nothing(state: StudyState) -> None:
    before = Standing(state, 3)

    assert on_arrival(before, is_for_reading=False, is_job_begun=True) == before


def test_study_is_open_until_every_connection_that_brought_part_of_it_has_ended() -> None:
    visits = Visits(most=4, most_per_peer=4)
    first, second = visits.begin(("127.0.0.1", 1)), visits.begin(("127.0.0.1", 2))
    assert first is not None
    assert second is not None
    for visit in (first, second):
        visit.studies.add("1.2.3")

    visits.end(first)
    assert visits.bring("1.2.3")
    visits.end(second)
    assert not visits.bring("1.2.3")

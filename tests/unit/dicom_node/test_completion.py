"""When a study is complete, and when it is open again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dicom_node.completion import (
    Patience,
    Signals,
    Standing,
    completed_by,
    learned_quiet_s,
    longest_gap_s,
    on_arrival,
)
from dicom_node.receivers.visits import Visits
from dicom_node.study import Reason, StudyState

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


PATIENCE = Patience(quiet_s=20, settled_s=2, limit_s=3600)


def ago(quiet_s: float, age_s: float = 500, **known: Any) -> Signals:
    """A study of which the last instance came `quiet_s`, the first `age_s` seconds ago."""
    began = NOW - timedelta(seconds=max(age_s, quiet_s))
    return Signals(began, NOW - timedelta(seconds=quiet_s), **known)


@pytest.mark.parametrize(
    ("signals", "reason"),
    [
        (ago(0), None),
        (ago(19.9), None),
        (ago(20), Reason.QUIET_PERIOD),
        (ago(21, is_open=True), None),
        (ago(199, is_open=True), None),
        (ago(200, is_open=True), Reason.QUIET_PERIOD),
    ],
)
def test_quiet_period_counts_and_open_associations_delay(signals: Signals, reason: Reason | None) -> None:
    assert completed_by(signals, NOW, PATIENCE) is reason


@pytest.mark.parametrize(
    ("signals", "reason"),
    [
        (ago(1.9, is_announced=True), None),
        (ago(2, is_announced=True), Reason.ALL_ARRIVED),
        (ago(2, is_announced=True, is_open=True), None),
        (ago(2, is_announced=True, is_in_progress=True), None),
        (ago(2, is_announced=True, counted=12, received=11), None),
        (ago(2, counted=11, received=11), None),
        (ago(20, counted=11, received=11), Reason.QUIET_PERIOD),
        (ago(20, counted=3, received=11), Reason.QUIET_PERIOD),
    ],
)
def test_announcement_of_what_is_here_ends_the_wait_and_a_count_alone_does_not(
    signals: Signals, reason: Reason | None
) -> None:
    assert completed_by(signals, NOW, PATIENCE) is reason


@pytest.mark.parametrize(
    ("signals", "reason"),
    [
        (ago(21, is_announced=True, missing=1), None),
        (ago(199, is_announced=True, missing=1), None),
        (ago(200, is_announced=True, missing=1), Reason.INCOMPLETE),
        (ago(21, counted=12, received=11), None),
        (ago(200, counted=12, received=11), Reason.INCOMPLETE),
        (ago(300, is_in_progress=True), None),
        (ago(300, age_s=3599, is_in_progress=True), None),
        (ago(300, age_s=3600, is_in_progress=True), Reason.LIMIT_REACHED),
        (ago(10, age_s=3600, is_announced=True, missing=1), Reason.LIMIT_REACHED),
        (ago(1, age_s=3600, is_announced=True, missing=1), None),
    ],
)
def test_what_is_awaited_lengthens_the_wait_up_to_a_limit(signals: Signals, reason: Reason | None) -> None:
    assert completed_by(signals, NOW, PATIENCE) is reason


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([1.0] * 19, 20),
        ([1.0] * 20, 5),
        ([4.0] * 200, 8),
        ([4.0] * 195 + [50.0] * 5, 100),
        ([4.0] * 199 + [50.0], 8),
        ([400.0] * 20, 120),
    ],
)
def test_quiet_period_follows_the_gaps_of_the_source(gaps: list[float], expected: float) -> None:
    """98 % of 200 studies are 196: four with longer gaps are left out, five are not."""
    assert learned_quiet_s(gaps, 20, shortest_s=5, longest_s=120) == expected


def test_longest_gap_does_not_depend_on_the_order() -> None:
    times = [NOW + timedelta(seconds=s) for s in (7, 0, 2)]
    assert longest_gap_s(times) == 5
    assert longest_gap_s(times[:1]) == 0


@pytest.mark.parametrize(
    ("state", "is_begun", "expected"),
    [
        (StudyState.RECEIVING, False, Standing(StudyState.RECEIVING, 3)),
        (StudyState.REFERENCE, False, Standing(StudyState.RECEIVING, 3)),
        (StudyState.NOT_APPLICABLE, False, Standing(StudyState.RECEIVING, 3)),
        (StudyState.NOT_APPLICABLE, True, Standing(StudyState.RECEIVING, 4)),
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

"""Each case that must hold has a test or a reason, and never both."""

from tests.faults.table import FIRST, LEFT, PARTLY, QUEUE, TRANSPORT, named_tests, rows


def test_there_are_thirty_eight_first_cases() -> None:
    assert len(FIRST) == len(set(FIRST)) == 38


def test_each_case_that_must_hold_has_a_test_or_a_reason() -> None:
    assert {*FIRST, *TRANSPORT} - set(named_tests()) == set(LEFT)


def test_each_case_of_the_queue_has_a_test_and_so_has_what_is_told_of_in_part() -> None:
    assert set(QUEUE) | set(PARTLY) <= set(named_tests())


def test_the_table_names_a_case_once() -> None:
    cases = [row.split("|")[1].strip() for row in rows()[2:]]
    assert len(cases) == len(set(cases))
    assert cases[: len(FIRST)] == list(FIRST)

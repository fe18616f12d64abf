"""UIDs depend on ordered fields and on nothing else."""

from structured_reports.identity import uid_from


def test_uid_is_a_uuid_derived_uid():
    uid = uid_from("a", "b")
    assert uid.startswith("2.25.")
    assert uid.is_valid
    assert len(uid) <= 44
    assert 0 < int(uid.removeprefix("2.25.")) < 2**128


def test_fields_that_join_to_the_same_text_do_not_collide():
    assert uid_from("ab", "c") != uid_from("a", "bc")


def test_order_of_fields_matters():
    assert uid_from("a", "b") != uid_from("b", "a")


def test_same_fields_give_the_same_uid():
    assert uid_from("study", "1.2.3") == uid_from("study", "1.2.3")

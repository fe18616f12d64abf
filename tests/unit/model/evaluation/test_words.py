"""Words are read before they are measured: changes by statement, open answers by their words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.evaluation.change import STATUSES, compared
from model.evaluation.open_answers import is_closed, is_exact, is_right, token_recall, tokens
from model.reading import CHEST_FINDINGS

TRUE = "The right pleural effusion has increased. The left lung nodule is new. The pneumothorax has resolved."


def _right(told: str, true: str = TRUE) -> list[tuple[str, bool]]:
    return compared(told, true, CHEST_FINDINGS).right()


def test_the_five_kinds_of_change_are_those_of_a_reading() -> None:
    assert set(STATUSES) == {"new", "increased", "decreased", "unchanged", "resolved"}


def test_a_true_comparison_is_right_in_every_statement_and_in_any_order() -> None:
    sentences = [f"{sentence}." for sentence in TRUE.rstrip(".").split(". ")]
    assert [right for _, right in _right(" ".join(reversed(sentences)))] == [True] * 3


@pytest.mark.parametrize(
    ("told", "right"),
    [
        ("The right pleural effusion has increased.", {"increased"}),
        ("The left pleural effusion has increased.", set()),
        ("The right pleural effusion has decreased. The left lung nodule is new.", {"new"}),
        ("The right pneumothorax has resolved.", set()),
        ("No significant change.", set()),
        ("", set()),
    ],
)
def test_a_statement_needs_its_finding_its_side_and_its_change(told: str, right: set[str]) -> None:
    assert {status for status, is_told in _right(told) if is_told} == right


def test_other_words_for_the_same_change_are_right() -> None:
    assert _right(
        "Interval increase in the right pleural effusion.", "The right pleural effusion has increased."
    ) == [("increased", True)]


def test_what_is_told_and_not_true_lowers_precision_only() -> None:
    read = compared(
        "The left lung nodule is new. The consolidation has resolved.",
        "The left lung nodule is new.",
        CHEST_FINDINGS,
    )
    assert read.right() == [("new", True)]
    assert read.told - read.true == {("consolidation", "", "resolved")}


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ("No significant change.", True),
        ("The left lung nodule is new.", False),
        ("xyzzy", False),
        ("", False),
    ],
)
def test_no_change_must_be_said(told: str, says: bool) -> None:
    assert compared(told, "No significant change.", CHEST_FINDINGS).says_nothing_changed is says


def test_tokens_are_words_without_case_marks_and_articles() -> None:
    assert tokens("The Right-sided effusion, a 2 cm one.") == ["right", "sided", "effusion", "2", "cm", "one"]


@pytest.mark.parametrize(
    ("told", "true", "recall"),
    [
        ("right upper lung zone", "Right upper lung zone.", 1),
        ("in the right lung", "Right upper lung zone.", 2 / 4),
        ("left", "Right.", 0),
        ("large large large", "Small.", 0),
        ("", "Small.", 0),
    ],
)
def test_token_recall_worked_by_hand(told: str, true: str, recall: float) -> None:
    assert token_recall(told, true) == pytest.approx(recall)


@pytest.mark.parametrize(
    ("true", "closed"), [("Yes.", True), ("no", True), ("Two.", False), ("No effusion.", False)]
)
def test_closed_questions_are_those_of_yes_or_no(true: str, closed: bool) -> None:
    assert is_closed(true) is closed


@pytest.mark.parametrize(
    ("told", "true", "right"),
    [
        ("Yes.", "yes", True),
        ("Yes, on the left.", "Yes.", True),
        ("No.", "Yes.", False),
        ("Perhaps.", "Yes.", False),
        ("The right lung.", "Right.", True),
        ("The left lung.", "Right.", False),
    ],
)
def test_right_answers(told: str, true: str, right: bool) -> None:
    assert is_right(told, true) is right


@given(st.text(max_size=40))
def test_a_text_answers_itself_exactly(text: str) -> None:
    assert is_exact(text, text)
    assert token_recall(text, text) == 1


@given(st.text("ab c", max_size=20), st.text("ab c", max_size=20))
def test_recall_is_a_share_and_whole_if_exact(told: str, true: str) -> None:
    assert 0 <= token_recall(told, true) <= 1
    assert not is_exact(told, true) or token_recall(told, true) == 1

"""Taking apart an answer whose question is not known; the grammar is the published model's."""

import pytest

from model.free_answers import Boxed, Masked, free_answer


def test_boxes_are_counted_through_the_text() -> None:
    answer = free_answer("left lung,<DET>.pneumothorax,<N/A>.lung nodule,<DET>,<DET>.")
    assert answer.caveats == ()
    assert answer.value.boxed == (
        Boxed("left lung", (0,)),
        Boxed("pneumothorax", ()),
        Boxed("lung nodule", (1, 2)),
    )
    assert answer.value.words == ""


def test_several_masks_are_counted_through_the_text() -> None:
    answer = free_answer(
        "The segmentation mask of liver is <3DSEG>. The segmentation mask of spleen is <3DSEG>."
    )
    assert answer.value.masked == (Masked("liver", "<3DSEG>", 0), Masked("spleen", "<3DSEG>", 1))
    assert (answer.value.words, answer.caveats) == ("", ())


def test_text_beside_tags_is_kept_as_words() -> None:
    answer = free_answer("The heart is enlarged. The segmentation mask of heart is <2DSEG>.")
    assert answer.value.masked == (Masked("heart", "<2DSEG>", 0),)
    assert answer.value.words == "The heart is enlarged."


def test_text_alone_is_words() -> None:
    answer = free_answer("Yes.")
    assert (answer.value.words, answer.value.boxed, answer.value.masked) == ("Yes.", (), ())


@pytest.mark.parametrize(
    "text",
    [
        "<DET>",
        "heart <DET>.",
        "heart,<DET>",
        "heart,<DET>,<N/A>.",
        "The heart is <2DSEG>.",
        "The segmentation mask of <2DSEG> is heart.",
    ],
)
def test_a_tag_outside_the_grammar_yields_nothing_but_a_caveat(text: str) -> None:
    answer = free_answer(text)
    assert (answer.value.boxed, answer.value.masked, answer.value.words) == ((), (), "")
    assert answer.caveats


def test_malformed_part_costs_its_neighbours_nothing() -> None:
    answer = free_answer("heart <DET>.aorta,<DET>.The lungs are clear.")
    assert answer.value.boxed == (Boxed("aorta", (1,)),)
    assert answer.value.words == "The lungs are clear."
    assert answer.caveats


def test_a_name_told_twice_keeps_its_first_telling() -> None:
    answer = free_answer("heart,<DET>.heart,<N/A>.")
    assert answer.value.boxed == (Boxed("heart", (0,)),)
    assert answer.caveats


def test_boxes_beyond_three_of_one_name_are_not_believed() -> None:
    answer = free_answer("lung nodule,<DET>,<DET>,<DET>,<DET>.heart,<DET>.")
    assert answer.value.boxed == (Boxed("lung nodule", (0, 1, 2)), Boxed("heart", (4,)))
    assert answer.caveats

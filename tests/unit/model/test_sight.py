"""What a sight keeps between questions: encodings and beginnings once, answers as if asked alone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from model.errors import AnswerError
from model.families.family import Generation
from model.families.medversa import MedVersaFamily
from model.families.medversa_networks.sizes import VqaSizes
from model.memory import MemoryNeed
from model.questions import Form, Question
from model.reading import Modality, ModelIdentity, Task
from model.vision_modules.vision_module import SeenImage
from tests.small_medversa import SMALL, picture, random_network, small_tokenizer, volume

TEXTS = ("Segment the liver.", "Is there any nodule in <img0>?", "Is there any liver?", "Yes or no?", "?")


@pytest.fixture(scope="module")
def family() -> MedVersaFamily:
    return _family(vqa=None)


@pytest.fixture(scope="module")
def family_v1() -> MedVersaFamily:
    return _family(vqa=VqaSizes(image_size=112, visual_side=4))


def _family(vqa: VqaSizes | None) -> MedVersaFamily:
    tokenizer = small_tokenizer()
    sizes = replace(SMALL, vocabulary=tokenizer.tokenizer.get_vocab_size(), vqa=vqa)
    return MedVersaFamily(ModelIdentity("medversa", "small", "0", "", True), random_network(sizes), tokenizer)


def question(text: str, images: tuple[int, ...] = (0,), task: Task = Task.CLASSIFICATION) -> Question:
    return Question(task, Form.FREE, text, images=images)


def assert_same(found: Sequence[Generation], expected: Sequence[Generation]) -> None:
    assert [answer.text for answer in found] == [answer.text for answer in expected]
    for mine, other in zip(found, expected, strict=True):
        assert mine.token_probabilities == pytest.approx(other.token_probabilities, abs=1e-4)
        assert mine.yes_probability == pytest.approx(other.yes_probability, abs=1e-4)
        assert mine.certainty == pytest.approx(other.certainty, abs=1e-4)


@contextmanager
def calls_of(module: nn.Module) -> Iterator[list[tuple[int, ...]]]:
    """Shapes of what a module is given."""
    shapes: list[tuple[int, ...]] = []

    def note(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
        shapes.append(tuple(given[0].shape))

    hook = module.register_forward_pre_hook(note)
    try:
        yield shapes
    finally:
        hook.remove()


questions = st.builds(question, st.sampled_from(TEXTS), st.sampled_from([(0,), (1,), (0, 1), (1, 0), (0, 0)]))


@settings(deadline=None, max_examples=15)
@given(calls=st.lists(st.lists(questions, min_size=1, max_size=3), min_size=1, max_size=3))
def test_answers_do_not_depend_on_what_was_asked_before(
    family: MedVersaFamily, calls: list[list[Question]]
) -> None:
    images = [picture(0), picture(1)]
    sight = family.look(Modality.CXR, images)
    for call in calls:
        alone = [family.look(Modality.CXR, images).answer([asked])[0] for asked in call]
        assert_same(sight.answer(call), alone)


def test_each_image_is_encoded_once_and_those_of_a_call_together(family: MedVersaFamily) -> None:
    sight = family.look(Modality.CXR, [picture(0), picture(1), picture(2)])
    with calls_of(family.network.visual_encoder_2d) as shapes:
        sight.answer([question("?")])
        sight.answer([question("?", (0, 1)), question("Yes?", (1,)), question("?", (2, 0))])
        sight.answer([question("?", (0, 2))])
    assert [shape[0] for shape in shapes] == [1, 2]
    with calls_of(family.network.visual_encoder_2d) as shapes:
        family.look(Modality.CXR, [picture(0), picture(1)]).answer([question("?", (0, 1))])
    assert [shape[0] for shape in shapes] == [2]


def test_nothing_is_encoded_before_it_is_asked_about(family: MedVersaFamily) -> None:
    with calls_of(family.network.visual_encoder_2d) as shapes:
        family.look(Modality.CXR, [picture(0), picture(1)])
    assert not shapes


def test_later_calls_read_only_what_is_new(family: MedVersaFamily) -> None:
    """The comparison begins with the image that the questions before it were about."""
    sight = family.look(Modality.CXR, [picture(0), picture(1)])
    sight.answer([question("?"), question("Yes or no?")])
    layer = family.network.llama.model.layers[0]
    with calls_of(layer) as again:
        sight.answer([question("Yes or no?", (0, 1))])
    with calls_of(layer) as anew:
        family.look(Modality.CXR, [picture(0), picture(1)]).answer([question("Yes or no?", (0, 1))])
    assert again[0][1] <= anew[0][1] - family.sizes.visual_tokens
    assert again[1:] == anew[1:]


def test_order_of_images_matters(family: MedVersaFamily) -> None:
    sight = family.look(Modality.CXR, [picture(0), picture(1)])
    one, other = sight.answer([question("?", (0, 1)), question("?", (1, 0))])
    assert one.yes_probability != other.yes_probability


def test_every_token_comes_with_its_probability(family: MedVersaFamily) -> None:
    (answer,) = family.look(Modality.CXR, [picture()]).answer([question("Yes or no?")])
    assert answer.token_probabilities[0] == pytest.approx(answer.certainty)
    assert all(0 < probability <= 1 for probability in answer.token_probabilities)
    assert len(answer.token_probabilities) <= family.sizes.max_new_tokens


# Generation v1


def test_open_questions_go_to_the_second_encoder_of_v1(family_v1: MedVersaFamily) -> None:
    sight = family_v1.look(Modality.CXR, [picture(0)])
    first, second = family_v1.network.visual_encoder_2d, family_v1.network.visual_encoder_2d_vqa
    with calls_of(first) as plain, calls_of(second) as closely:
        sight.answer([question("?", task=Task.VQA), question("?"), question("Yes?", task=Task.VQA)])
    assert plain == [(1, 3, 56, 56)]
    assert closely == [(1, 3, 112, 112)]


def test_open_questions_of_v1_hold_sixteen_places_per_image(family_v1: MedVersaFamily) -> None:
    asked, placeholder = question("?", task=Task.VQA), family_v1.tokenizer.image
    assert family_v1.ids(asked, 2, closely=True).count(placeholder) == 32
    assert family_v1.ids(asked, 2).count(placeholder) == 18


def test_v0_has_one_encoder_for_all_questions(family: MedVersaFamily) -> None:
    assert not family.looks_closely(question("?", task=Task.VQA), [picture()])


def test_volumes_have_one_encoder_for_all_questions(family_v1: MedVersaFamily) -> None:
    assert not family_v1.looks_closely(question("?", task=Task.VQA), [volume()])
    (answer,) = family_v1.look(Modality.CT, [volume()]).answer([question("?", task=Task.VQA)])
    assert answer.token_probabilities


def test_images_tell_their_vision_modules_what_they_are(family_v1: MedVersaFamily) -> None:
    seen: list[SeenImage] = family_v1.see([picture(0), picture(1)], Modality.DERM)
    assert [image.modality for image in seen] == [Modality.DERM, Modality.DERM]


# Memory


def test_batches_are_as_small_as_memory_demands(
    family: MedVersaFamily, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = MemoryNeed(weights=0, encoding=0, cache_per_token=1, work_per_token=0)
    asked = [question(text) for text in TEXTS]
    tight = replace(family, need=need)
    longest = max(len(family.ids(one, 1)) for one in asked) + family.sizes.max_new_tokens
    monkeypatch.setattr("model.families.medversa.free_memory", lambda _device: (1 << 29) + 2 * longest)
    with calls_of(family.network.llama.model.layers[0]) as shapes:
        found = tight.look(Modality.CXR, [picture()]).answer(asked)
    assert max(rows for rows, _length, _width in shapes) == 2
    assert_same(found, family.look(Modality.CXR, [picture()]).answer(asked))


def test_answer_that_does_not_fit_is_refused(family: MedVersaFamily, monkeypatch: pytest.MonkeyPatch) -> None:
    tight = replace(family, need=MemoryNeed(weights=0, encoding=0, cache_per_token=1, work_per_token=0))
    monkeypatch.setattr("model.families.medversa.free_memory", lambda _device: 1 << 29)
    with pytest.raises(AnswerError, match="no memory"):
        tight.look(Modality.CXR, [picture()]).answer([question("?")])


def test_memory_that_no_one_counts_is_not_guessed(family: MedVersaFamily) -> None:
    assert replace(family, need=None).answers_at_once(10**9) > 1


def test_seed_of_the_caller_is_left_alone(family: MedVersaFamily) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    family.look(Modality.CXR, [picture()]).answer([question("?")])
    torch.testing.assert_close(torch.rand(3), expected, atol=0, rtol=0)

"""The MedVersa family on a network too small to know anything."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from model.errors import AnswerError
from model.families.family import Generation
from model.families.medversa import MedVersaFamily, prefix_ids
from model.families.medversa_networks.generation import Written, write
from model.families.medversa_networks.prefill import Prompt, open_prompts
from model.families.medversa_networks.tokenizer import ADDED_TOKENS, MedVersaTokenizer
from model.questions import Form, Question
from model.reading import Modality, ModelIdentity, Task
from model.transforms import PlanarPlacement
from model.vision_modules.registry import VISION_MODULES
from model.vision_modules.vision_module import SeenImage
from model.volume import PlanarImage, Volume
from tests.small_medversa import SMALL, picture, random_network, small_tokenizer, volume


@pytest.fixture(scope="module")
def tokenizer() -> MedVersaTokenizer:
    return small_tokenizer()


@pytest.fixture(scope="module")
def family(tokenizer: MedVersaTokenizer) -> MedVersaFamily:
    network = random_network(replace(SMALL, vocabulary=tokenizer.tokenizer.get_vocab_size()))
    return MedVersaFamily(ModelIdentity("medversa", "small", "0", "", True), network, tokenizer)


# Tokens


def test_added_tokens_take_the_last_ids_in_published_order(tokenizer: MedVersaTokenizer) -> None:
    size = tokenizer.tokenizer.get_vocab_size()
    assert [tokenizer.encode(t) for t in ADDED_TOKENS] == [[n] for n in range(size - 5, size)]
    assert list(tokenizer.tags.values()) == list(VISION_MODULES)


@pytest.mark.parametrize("text", ["nodule,<N/A>.heart,<DET>,<DET>.", "naïve 胸部 ☂ 12.5 mm", " Yes.", ""])
def test_any_text_survives_the_tokenizer(tokenizer: MedVersaTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_each_image_holds_nine_places_between_its_tags(tokenizer: MedVersaTokenizer) -> None:
    ids = prefix_ids(tokenizer, 2, 9)
    places = "<ImageHere>" * 9
    assert tokenizer.decode(ids) == f"<s>###Human:<img0>{places}</img0><img1>{places}</img1>"


# Answers


def answers(
    family: MedVersaFamily, images: Sequence[PlanarImage | Volume], texts: Sequence[str]
) -> list[Generation]:
    return family.look(Modality.CXR, images).answer([Question(Task.VQA, Form.FREE, text) for text in texts])


def test_same_request_same_answer_in_any_order(family: MedVersaFamily) -> None:
    questions = ["Segment the liver.", "Is there any nodule in <img0>?"]
    first = answers(family, [picture()], questions)
    second = answers(family, [picture()], questions[::-1])[::-1]
    assert [a.text for a in first] == [a.text for a in second]
    assert [a.yes_probability for a in first] == pytest.approx([a.yes_probability for a in second], abs=1e-6)


def test_answer_depends_on_every_image(family: MedVersaFamily) -> None:
    question = ["Is there any nodule in <img0>?"]
    (one,) = answers(family, [picture(0), picture(1)], question)
    (other,) = answers(family, [picture(0), picture(2)], question)
    assert one.yes_probability != other.yes_probability


@pytest.mark.parametrize("most", [1, 2, 3])
def test_Q16_questions_are_asked_in_halves_when_memory_runs_out(
    family: MedVersaFamily, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    questions = ["Segment the liver.", "Is there any nodule in <img0>?", "?", "Segment the heart.", "Is it?"]
    expected = answers(family, [picture()], questions)
    refused: list[int] = []

    def write_few(network: Any, prompts: Sequence[Prompt], *rest: Any) -> list[Written]:
        if len(prompts) > most:
            open_prompts(network, prompts, rest[-1])  # what was read by then must not be taken for whole
            rest[-1].values.length += 1
            refused.append(len(prompts))
            raise torch.OutOfMemoryError
        return write(network, prompts, *rest)

    monkeypatch.setattr("model.families.medversa.write", write_few)
    found = answers(family, [picture()], questions)

    assert [one.text for one in found] == [one.text for one in expected]
    assert [one.yes_probability for one in found] == pytest.approx(
        [one.yes_probability for one in expected], abs=1e-6
    )
    assert refused[0] == len(questions)


def test_Q16_question_that_alone_is_too_much_is_an_error(
    family: MedVersaFamily, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_none(*_: Any) -> list[Written]:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("model.families.medversa.write", write_none)
    with pytest.raises(torch.OutOfMemoryError):
        answers(family, [picture()], ["Is it?", "?"])


def test_too_many_images_are_refused(family: MedVersaFamily) -> None:
    with pytest.raises(AnswerError, match="3 images"):
        answers(family, [picture()] * 3, ["?"])
    with pytest.raises(AnswerError, match="0 images"):
        answers(family, [], ["?"])


def test_too_long_a_question_is_refused(family: MedVersaFamily) -> None:
    with pytest.raises(AnswerError, match="context is 160"):
        answers(family, [picture()], ["?" * 200])


def test_reserved_word_in_a_question_is_refused(family: MedVersaFamily) -> None:
    with pytest.raises(AnswerError, match="reserved"):
        answers(family, [picture()], ["What is <ImageHere>?"])


# Vision modules


@pytest.mark.parametrize("tag", VISION_MODULES)
def test_every_module_answers_on_the_source_grid(family: MedVersaFamily, tag: str) -> None:
    image = volume() if tag == "<3DSEG>" else picture()
    shape = image.voxels.shape if isinstance(image, Volume) else (1, *image.pixels.shape)
    (seen,) = family.see([image])
    outcomes = VISION_MODULES[tag](family.network)(torch.randn(2, SMALL.hidden), seen)
    assert len(outcomes) == 2
    for outcome in outcomes:
        if tag == "<DET>":
            j0, i0, j1, i1 = outcome.tolist()
            assert 0 <= j0 <= j1 <= shape[1]
            assert 0 <= i0 <= i1 <= shape[2]
        else:
            assert outcome.shape == shape
            assert 0 <= outcome.min() <= outcome.max() <= 1


@pytest.mark.parametrize("tag", VISION_MODULES)
def test_every_module_refuses_the_wrong_kind_of_image(family: MedVersaFamily, tag: str) -> None:
    image = picture() if tag == "<3DSEG>" else volume()
    (seen,) = family.see([image])
    with pytest.raises(AnswerError):
        VISION_MODULES[tag](family.network)(torch.randn(1, SMALL.hidden), seen)


def test_detection_scales_fractions_to_the_source(family: MedVersaFamily) -> None:
    seen = SeenImage(picture(), PlanarPlacement(90, 70), torch.zeros(9, SMALL.hidden))
    last = family.network.text_det[4]
    kept = (last.weight.clone(), last.bias.clone())
    try:
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.1, 0.2, 0.5, 0.8]))
        (box,) = VISION_MODULES["<DET>"](family.network)(torch.randn(1, SMALL.hidden), seen)
    finally:
        last.weight.copy_(kept[0])
        last.bias.copy_(kept[1])
    assert box.tolist() == pytest.approx([18, 7, 72, 35])

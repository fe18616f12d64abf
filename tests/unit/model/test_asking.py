"""Questions are put in the released words, in others, and in people's own, without ambiguity."""

from collections import defaultdict

import numpy as np
import pytest

from model.prompts import phrase
from model.questions import Form
from model.reading import ABDOMINAL_ORGANS, CHEST_FINDINGS, CHEST_ORGANS, CHEST_STRUCTURES, Modality
from model.training.asking import FREE_SHARE, SPOKEN_NAMES, ask, is_free, order_context
from model.wordings import FREE_WORDINGS, WORDINGS

KNOWN = (*CHEST_FINDINGS, *CHEST_STRUCTURES, *CHEST_ORGANS, *ABDOMINAL_ORGANS, "lesion")


def asked(modality: Modality, form: Form, times: int, **filled: object) -> list[str]:
    rng = np.random.default_rng(0)
    # Not checked: keywords of `ask`.
    return [ask(modality, form, rng, **filled) for _ in range(times)]  # pyright: ignore[reportArgumentType]


def test_every_form_can_be_asked_freely() -> None:
    assert FREE_WORDINGS.keys() == WORDINGS.keys()


@pytest.mark.parametrize("key", list(FREE_WORDINGS), ids=str)
def test_people_name_no_image(key: tuple[Modality, Form]) -> None:
    filled = [phrase(wording, names=("heart",), question="what?") for wording in FREE_WORDINGS[key]]
    assert len(set(filled)) == len(filled) >= 4
    assert not any("<img" in text or "{" in text for text in filled)


@pytest.mark.parametrize("modality", list(Modality))
def test_no_free_request_could_mean_two_tasks(modality: Modality) -> None:
    means: dict[str, set[Form]] = defaultdict(set)
    for (of, form), wordings in FREE_WORDINGS.items():
        if of is modality and form is not Form.VQA:
            for wording in wordings:
                means[phrase(wording, names=("heart",)).lower()].add(form)
    assert not {text: forms for text, forms in means.items() if len(forms) > 1}


def test_what_is_not_free_is_released_half_of_the_time() -> None:
    texts = asked(Modality.CXR, Form.SEGMENTATION, 1000, names=("heart",), free=False)
    # one of the ten wordings that the other half is drawn from is the released one too
    assert texts.count("Segment heart in <img0>.") / 1000 == pytest.approx(0.55, abs=0.05)


def test_share_of_free_questions() -> None:
    rng = np.random.default_rng(0)
    assert np.mean([is_free(rng) for _ in range(2000)]) == pytest.approx(FREE_SHARE, abs=0.03)


def test_people_use_their_own_names_for_things() -> None:
    texts = asked(Modality.DERM, Form.SEGMENTATION, 300, names=("lesion",), free=True)
    assert any("mole" in text for text in texts)
    assert any("lesion" in text for text in texts)
    assert all(any(name in text for name in ("lesion", "mole", "spot")) for text in texts)


def test_people_type_carelessly_but_never_lose_what_is_asked() -> None:
    texts = asked(Modality.CXR, Form.REGION, 300, box=(0, 0, 0.5, 0.5), free=True)
    assert all("[0,0,112,112]" in text for text in texts)
    assert {text[0].isupper() for text in texts} == {True, False}
    assert {text.endswith("?") for text in texts} == {True, False}


def test_spoken_names_are_of_things_that_answers_name() -> None:
    assert SPOKEN_NAMES.keys() <= set(KNOWN)
    said = [name for names in SPOKEN_NAMES.values() for name in names]
    assert len(said) == len(set(said))
    assert not set(said) & set(KNOWN)


def test_order_knows_nothing_of_the_truth_and_may_be_empty() -> None:
    rng = np.random.default_rng(0)
    orders = {order_context(Modality.CXR, rng) for _ in range(200)}
    assert "" in orders
    assert not any(finding in order for order in orders for finding in CHEST_FINDINGS)


def test_same_seed_same_words() -> None:
    assert asked(Modality.CT, Form.SEGMENTATION, 20, names=("liver",)) == asked(
        Modality.CT, Form.SEGMENTATION, 20, names=("liver",)
    )

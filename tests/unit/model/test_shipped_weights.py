"""The weights that are shipped are whole, small and honest about what they are."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from model.families.family import Family
from model.prompts import phrase
from model.protocol import vqa_question
from model.questions import Form, Question
from model.reading import Modality, Task
from model.registry import load_family
from model.training.open_questions import open_questions
from model.training.phantoms.chest import make_chest_case
from model.training.region_captions import captions_of
from model.training.telling import FRONTAL_CHEST
from model.volume import FrameKey, PlanarImage
from model.weights import read_config
from model.wordings import WORDINGS


@pytest.fixture(scope="module")
def family() -> Family:
    return load_family("medversa-demo")


def test_shipped_weights_are_marked_as_demonstration(family: Family) -> None:
    assert family.identity.demo_weights
    assert family.identity.name == "medversa-demo"


def test_shipped_weights_are_small_and_carry_their_making() -> None:
    folder = files("model.families") / "demo_weights"
    shipped = [path for path in Path(str(folder)).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in shipped) <= 20_000_000
    config = read_config(folder)  # pyright: ignore[reportArgumentType]  # a path in a checkout
    assert config.training["command"].startswith("medversa-node train demo")
    card = (Path(str(folder)) / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert config.weights_sha256 in card
    assert all(deviation in card for deviation in config.training.get("deviations", ()))


def test_a_phantom_is_taken_for_a_chest_and_its_lungs_are_found(family: Family) -> None:
    case = make_chest_case(3_000_001)
    picture = PlanarImage(case.current.pixels, FrameKey("1"))
    asked = [
        Question(task, form, phrase(WORDINGS[Modality.CXR, form][0], names=("right lung",)))
        for task, form in ((Task.CLASSIFICATION, Form.GATE), (Task.SEGMENTATION, Form.SEGMENTATION))
    ]
    kind, mask = family.look(Modality.CXR, [picture]).answer(asked)
    assert kind.text == FRONTAL_CHEST
    (found,) = mask.masks
    true = case.current.masks["right lung"]
    assert 2 * np.sum((found[0] >= 0.5) & true) / (np.sum(found >= 0.5) + true.sum()) > 0.85


# What is asked on request. Right answers are set against those to the wrong picture or region, so that
# neither a habit of the language model nor luck can pass.


def beats_luck(pairs: list[tuple[bool, bool]]) -> bool:
    """Sign test at four standard deviations: luck passes less than once in 30,000 times."""
    won, lost = sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)
    return won - lost > 4 * (won + lost) ** 0.5


def test_open_questions_are_answered_from_the_picture(family: Family) -> None:
    views = [make_chest_case(seed).current for seed in range(3_000_100, 3_000_112)]
    sights = [family.look(Modality.CXR, [PlanarImage(v.pixels, FrameKey("1"))]) for v in views]
    pairs: list[tuple[bool, bool]] = []
    for n, view in enumerate(views):
        told = open_questions(view, np.random.default_rng(n))
        asked = [vqa_question(q.question) for q in told]
        own, other = (sight.answer(asked) for sight in (sights[n], sights[n - 1]))
        pairs += [(a.text == q.answer, b.text == q.answer) for q, a, b in zip(told, own, other, strict=True)]
    assert beats_luck(pairs)
    assert np.mean([right for right, _ in pairs]) > 0.5


def test_regions_are_told_from_their_place(family: Family) -> None:
    wording = WORDINGS[Modality.CXR, Form.REGION][0]
    pairs: list[tuple[bool, bool]] = []
    for seed in range(3_000_100, 3_000_116):
        view = make_chest_case(seed).current
        regions = list(captions_of(view, np.random.default_rng(seed)))
        asked = [
            Question(Task.REGION_CAPTIONING, Form.REGION, phrase(wording, box=box)) for box, _ in regions
        ]
        sight = family.look(Modality.CXR, [PlanarImage(view.pixels, FrameKey("1"))])
        told = [answer.text for answer in sight.answer(asked)]
        pairs += [(told[n] == c, told[n - 1] == c) for n, (_, c) in enumerate(regions)]
    assert beats_luck(pairs)


@pytest.mark.parametrize(
    ("request_text", "tag"),
    [
        ("can you outline the heart", "<2DSEG>"),
        ("mark the left lung", "<DET>"),
        ("show me the place where the trachea is", "<DET>"),
        ("does he have a pneumothorax?", ""),
        ("please write up a report on this chest", ""),
    ],
)
def test_model_decides_which_module_a_request_needs(family: Family, request_text: str, tag: str) -> None:
    picture = PlanarImage(make_chest_case(3_000_001).current.pixels, FrameKey("1"))
    (answer,) = family.look(Modality.CXR, [picture]).answer([Question(Task.VQA, Form.FREE, request_text)])
    assert {t for t in ("<DET>", "<2DSEG>", "<3DSEG>") if t in answer.text} == ({tag} if tag else set())
    assert len(answer.boxes) + len(answer.masks) == bool(tag)

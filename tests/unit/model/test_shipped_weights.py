"""The weights that are shipped are whole, small and honest about what they are."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from model.families.family import Family
from model.prompts import phrase
from model.questions import Form, Question
from model.reading import Modality, Task
from model.registry import load_family
from model.training.phantoms.chest import make_chest_case
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
    assert config.training["command"] == "medversa-node train demo"


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

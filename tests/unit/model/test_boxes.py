"""Boxes land on stored pixels with the patient's side: the image's left is the patient's right."""

import numpy as np
import pytest

from model.boxes import bounding_box, expected_side
from model.reading import Laterality
from model.volume import FrameKey, PlanarImage

LEFT, RIGHT = Laterality.LEFT, Laterality.RIGHT
IMAGE = PlanarImage(np.zeros((100, 200), np.float32), FrameKey("1.2"))


def side(label: str, first: float, last: float) -> Laterality | None:
    box = bounding_box(label, (10, first, 50, last), IMAGE)
    assert box is not None
    return box.laterality


@pytest.mark.parametrize(
    ("label", "first", "last", "expected"),
    [
        ("pleural effusion", 10, 60, RIGHT),
        ("pleural effusion", 140, 190, LEFT),
        ("pleural effusion", 80, 118, None),
        ("mediastinal widening", 10, 60, None),
        ("cardiac silhouette", 120, 190, None),
        ("left upper lung zone", 101, 103, LEFT),
        ("left upper lung zone", 97, 99, RIGHT),
        ("right atrium", 100, 110, RIGHT),
        ("right atrium", 150, 160, LEFT),
    ],
)
def test_side_of_a_box(label: str, first: float, last: float, expected: Laterality | None) -> None:
    assert side(label, first, last) is expected


def test_a_label_names_its_side_in_its_first_word() -> None:
    assert expected_side("left cardiophrenic angle") is LEFT
    assert expected_side("right clavicle") is RIGHT
    assert expected_side("aortic arch") is None

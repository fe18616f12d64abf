"""Examples are the best, the median and the worst, and show truth and answer where they lie."""

from pathlib import Path

import numpy as np
from PIL import Image

from model.evaluation.answering import mark_study
from model.evaluation.marks import MarkedStudy, MaskMark, Row
from model.evaluation.pictures import FOUND, RANKS, TRUE, Shown, chosen, draw_chosen, panel
from model.evaluation.study import Asked, BoxTruth, MaskTruth, Study
from model.families.family import Generation
from model.questions import Form, Question
from model.reading import Modality, Task
from model.volume import FrameKey, Geometry, Volume
from tests.scripted_family import SIDE, ScriptedFamily, image, organ, segment

SCALE = 360 / SIDE


def _segmentation(key: str, rows: tuple[int, int], found: tuple[int, int]) -> tuple[Study, ScriptedFamily]:
    """A heart of columns 30 to 90 that is true in some rows and found in others."""
    true = np.zeros((SIDE, SIDE), bool)
    true[slice(*rows), 30:90] = True
    question = Question(Task.SEGMENTATION, Form.SEGMENTATION, segment("heart"), ("heart",), images=(0,))
    study = Study(key, Modality.CXR, lambda: [image()], [Asked(question, MaskTruth(lambda: true))])
    return study, ScriptedFamily({segment("heart"): organ("heart", found[0], 30, found[1], 90)})


def _at(drawn: Image.Image, row: float, column: float) -> tuple[int, ...]:
    """The colour in the middle of a source pixel."""
    pixel = drawn.getpixel((int((column + 0.5) * SCALE), int((row + 0.5) * SCALE)))
    assert isinstance(pixel, tuple)
    return pixel


def test_outlines_lie_on_the_edges_of_the_masks() -> None:
    study, family = _segmentation("a", (20, 60), (40, 100))
    drawn = panel(family, study, Shown("best", "a", 0, 0.4, "Dice 0.4"))
    assert _at(drawn, 20, 60) == TRUE
    assert _at(drawn, 99, 60) == FOUND
    assert _at(drawn, 80, 60)[0] == _at(drawn, 80, 60)[1] == _at(drawn, 80, 60)[2]


def test_boxes_lie_on_their_edges() -> None:
    question = Question(Task.ANATOMY_DETECTION, Form.DETECTION, "Detect heart.", ("heart",), images=(0,))
    truth = BoxTruth({"heart": ((0.25, 0.25, 0.75, 0.5),)})
    study = Study("a", Modality.CXR, lambda: [image()], [Asked(question, truth)])
    answer = Generation("heart,<DET>.", 0, boxes=((64, 64, 128, 128),))
    drawn = panel(ScriptedFamily({"Detect heart.": answer}), study, Shown("best", "a", 0, 0, "IoU"))
    assert _at(drawn, 48, 32) == TRUE
    assert _at(drawn, 100, 64) == FOUND


def test_a_volume_shows_the_slice_with_most_of_the_truth() -> None:
    voxels = np.full((3, 64, 64), -1000, np.float32)
    voxels[2] = 300
    true = np.zeros((3, 64, 64), bool)
    true[2, 10:50, 10:50] = True
    volume = Volume(voxels, Geometry(np.diag([5.0, 1, 1, 1])), tuple(FrameKey(str(k)) for k in range(3)))
    question = Question(Task.SEGMENTATION, Form.SEGMENTATION, "Segment the liver.", ("liver",), images=(0,))
    study = Study("a", Modality.CT, lambda: [volume], [Asked(question, MaskTruth(lambda: true))])
    nothing = Generation("There is no liver in the volume.", 0)
    drawn = panel(ScriptedFamily({"Segment the liver.": nothing}), study, Shown("worst", "a", 0, 0, "Dice"))
    assert drawn.getpixel((5, 5)) == (255, 255, 255)
    assert drawn.getpixel((int(10 * 360 / 64) + 1, 180)) == TRUE


def _marked(key: str, dice: float) -> MarkedStudy:
    mark = MaskMark("heart", True, True, dice, dice / (2 - dice), None, None)
    row = Row(Task.SEGMENTATION, Form.SEGMENTATION, ("heart",), "", True, mark)
    return MarkedStudy(key, Modality.CXR, (row,), key)


def test_best_median_and_worst_are_chosen() -> None:
    marked = [
        _marked(key, dice) for key, dice in (("a", 0.5), ("b", 0.9), ("c", 0.1), ("d", 0.7), ("e", 0.6))
    ]
    (shown,) = chosen(marked).values()
    assert [one.rank for one in shown] == list(RANKS)
    assert [one.study for one in shown] == ["b", "e", "c"]


def test_nothing_is_chosen_where_nothing_is_true() -> None:
    absent = MaskMark("heart", False, False, 1, 1, None, None)
    row = Row(Task.SEGMENTATION, Form.SEGMENTATION, ("heart",), "", True, absent)
    assert chosen([MarkedStudy("a", Modality.CXR, (row,), "a")]) == {}


def test_sheets_show_three_answers_side_by_side(tmp_path: Path) -> None:
    study, family = _segmentation("a", (20, 60), (40, 100))
    marked = mark_study(family, study)
    (path,) = draw_chosen(family, [study], chosen([marked]), tmp_path).values()
    with Image.open(path) as sheet:
        assert sheet.size == (3 * 360, 400)
